use millstream_core::clock::Timestamp;
use millstream_core::entry::{Entry, EntryId};
use millstream_core::name::EventId;
use millstream_core::store::{Old, Pruned, Store};

use super::{Consumer, Source, TABLES, event, mappings};
use crate::suite::Site;

const LATER: Timestamp = Timestamp::from_millis(i64::MAX);

fn through(through: EntryId) -> Old {
    Old {
        after: EntryId::ZERO,
        through,
        applied_before: LATER,
    }
}

/// Prunes everything that may go, a few rows at a time, and says how many went.
async fn prune<H: Store>(consumer: &Consumer<H>, mut old: Old, limit: usize) -> u64 {
    let (mut removed, mut looks) = (0, 0);
    loop {
        let pruned = consumer
            .store
            .prune_inbox(&consumer.lease.feed, &old, limit);
        let pruned = pruned.await.unwrap();
        removed += pruned.removed;
        looks += 1;
        assert!(looks < 1_000, "it gets to its end");
        match pruned.next {
            Some(next) => old.after = next,
            None => return removed,
        }
    }
}

/// What is parked stays, and what is behind the bound, or too young; of one feed and no other.
pub async fn old_rows_of_the_inbox_go<S: Site>() {
    for limit in [2, 3, 7, 1_000] {
        let site = S::make("").await;
        site.execute(TABLES).await.unwrap();
        let mut source = Source::shard(0);
        let mut other = Source::shard(1);
        let mut consumer = Consumer::start(site.connect().await, source.feed(), mappings()).await;
        let mut beside = Consumer::start(site.connect().await, other.feed(), mappings()).await;
        let set = |id: &str| event("person.set", "acme", id, r#"{"name":"Ada"}"#);
        let renamed = |id: &str| event("person.renamed", "acme", id, r#"{"name":"Bob"}"#);
        let entries: Vec<Entry> = (0..20)
            .map(|n| match n % 5 {
                // Waits for its row, and what comes of its key behind it.
                3 => source.send(&renamed("nobody")),
                _ => source.send(&set(&n.to_string())),
            })
            .collect();
        consumer.settle(&entries).await;
        let entry = other.send(&set("beside"));
        beside.settle(&[entry]).await;

        let young = Old {
            applied_before: Timestamp::from_millis(0),
            ..through(entries[19].id)
        };
        assert_eq!(prune(&consumer, young, limit).await, 0);
        assert_eq!(prune(&consumer, through(entries[9].id), limit).await, 8);
        assert_eq!(prune(&consumer, through(entries[9].id), limit).await, 0);
        let left = "SELECT seq FROM millstream_inbox ORDER BY shard, seq";
        let mut expected: Vec<String> = [4, 9].map(|seq| seq.to_string()).to_vec();
        expected.extend((11..=20).map(|seq| seq.to_string()));
        expected.push("1".into());
        assert_eq!(site.rows(left).await, expected);
        assert_eq!(prune(&consumer, through(entries[19].id), limit).await, 8);
        let tracked = "SELECT status, count(*) FROM event_tracking GROUP BY status ORDER BY status";
        assert_eq!(site.rows(tracked).await, ["pending|4", "processed|1"]);

        // What waited is settled all the same, and goes then.
        let entry = source.send(&set("nobody"));
        consumer.settle(&[entry]).await;
        let make = "INSERT INTO people (tenant_id, id, name) VALUES ('acme', 'nobody', 'Eve')";
        site.execute(make).await.unwrap();
        assert_eq!(consumer.settle_again().await, "5 applied");
        assert_eq!(prune(&consumer, through(entries[19].id), limit).await, 4);
    }
}

/// Of an owned stream the checkpoint tells what was here; of the shared one nothing does, once its row has
/// gone. What another feed of the same stream had is left alone.
pub async fn what_comes_again_after_its_row_has_gone<S: Site>() {
    let site = S::make("").await;
    site.execute(TABLES).await.unwrap();
    let mut source = Source::shared();
    let mut consumer = Consumer::start(site.connect().await, source.feed(), mappings()).await;
    let credit = |id: &str| {
        let mut credit = event("account.credited", "acme", "7", r#"{"amount":5}"#);
        credit.id = EventId::new(id).ok();
        credit
    };
    let opened = event("account.opened", "acme", "7", r#"{"balance":100}"#);
    let entries = source.send_all([&opened, &credit("one"), &credit("two")]);
    assert_eq!(consumer.settle(&entries).await, "3 applied");
    // Somebody publishes them again. Meanwhile the first two rows go, the third stays.
    let again = source.send_all([&credit("one"), &credit("two")]);
    assert_eq!(prune(&consumer, through(entries[1].id), 1_000).await, 2);
    assert_eq!(consumer.settle(&again).await, "1 applied, 1 repeated");
    assert_eq!(site.rows("SELECT balance FROM accounts").await, ["115"]);
}

/// A server that failed over gave two events one entry id.
pub async fn twins_go_together<S: Site>() {
    let site = S::make("").await;
    site.execute(TABLES).await.unwrap();
    let mut source = Source::shared();
    let mut consumer = Consumer::start(site.connect().await, source.feed(), mappings()).await;
    let mut entries = source.send_all([
        &event("person.set", "acme", "1", "{}"),
        &event("person.set", "acme", "2", "{}"),
        &event("person.renamed", "acme", "3", r#"{"name":"Bob"}"#),
        &event("person.set", "acme", "4", "{}"),
    ]);
    entries[1].id = entries[0].id;
    entries[3].id = entries[2].id;
    for entry in &entries {
        consumer.settle(std::slice::from_ref(entry)).await;
    }
    // One of the second pair waits for its row.
    assert_eq!(prune(&consumer, through(entries[2].id), 1_000).await, 2);
    assert_eq!(site.rows("SELECT seq FROM millstream_inbox").await.len(), 2);
}

/// Before anything was read, and of a feed that nobody knows.
pub async fn an_empty_inbox_is_pruned<S: Site>() {
    let site = S::make("").await;
    let source = Source::shared();
    let store = site.connect().await;
    let old = through(EntryId::new(u64::MAX >> 1, 0));
    let pruned = store.prune_inbox(&source.feed(), &old, 10).await.unwrap();
    assert_eq!(pruned, Pruned::default());
}
