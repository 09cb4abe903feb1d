use millstream_core::entry::Shard;
use millstream_core::lease::Feed;
use millstream_core::name::PartitionKey;
use millstream_core::store::{DeadLetterQuery, Store};

use super::{Consumer, Source, event, mappings, ready};
use crate::sample::{app, shard};
use crate::suite::Site;

const BAD: &str = r#"{"age":"old"}"#;

/// Also for the next owner, and whatever the event's entity is: the key is what counts.
pub async fn a_parked_key_blocks_later_batches<S: Site>() {
    let (site, mut source, mut consumer) = ready::<S>().await;
    let bad = event("person.set", "acme", "7", BAD);
    assert_eq!(consumer.settle(&[source.send(&bad)]).await, "1 dead");
    let good = event("person.set", "acme", "7", r#"{"age":1}"#);
    assert_eq!(consumer.settle(&[source.send(&good)]).await, "1 blocked");

    let mut consumer = Consumer::start(site.connect().await, source.feed(), mappings()).await;
    let mut by_key = event("person.set", "acme", "9", r#"{"age":1}"#);
    by_key.partition_key = PartitionKey::new("7").ok();
    let mut free = good.clone();
    free.partition_key = PartitionKey::new("another").ok();
    let entries = source.send_all([
        &good,
        &event("weather.changed", "acme", "7", "{}"),
        &by_key,
        &free,
        &event("person.set", "acme", "8", r#"{"age":1}"#),
    ]);
    assert_eq!(consumer.settle(&entries).await, "2 applied, 3 blocked");
    let found = site.rows("SELECT id, age FROM people ORDER BY id").await;
    assert_eq!(found, ["7|1", "8|1"]);
}

/// Another tenant's key of that name, and another source's, have nothing to do with it.
pub async fn the_same_key_elsewhere_goes_on<S: Site>() {
    let (site, mut source, mut consumer) = ready::<S>().await;
    let good = |tenant| event("person.set", tenant, "7", r#"{"age":1}"#);
    let entries = source.send_all([
        &event("person.set", "acme", "7", BAD),
        &good("acme"),
        &good("globex"),
    ]);
    let settled = consumer.settle(&entries).await;
    assert_eq!(settled, "1 applied, 1 blocked, 1 dead");
    let entries = source.send_all([&good("acme"), &good("globex")]);
    assert_eq!(consumer.settle(&entries).await, "1 applied, 1 blocked");

    let mut other = Source::of(Feed::Owned(Shard {
        owner: app("billing"),
        ..shard(0)
    }));
    let mut consumer = Consumer::start(site.connect().await, other.feed(), mappings()).await;
    let entries = other.send_all([&good("acme")]);
    assert_eq!(consumer.settle(&entries).await, "1 applied");
}

/// As far as it could be read.
pub async fn an_undecodable_entry_blocks_its_key<S: Site>() {
    let (site, mut source, mut consumer) = ready::<S>().await;
    let broken = source.send_broken(Some(("acme", "7")));
    let entries = [
        broken.clone(),
        source.send(&event("person.set", "acme", "7", "{}")),
        source.send_broken(Some(("acme", "7"))),
        source.send(&event("person.set", "acme", "8", "{}")),
    ];
    let settled = consumer.settle(&entries).await;
    assert_eq!(settled, "1 applied, 2 blocked, 1 dead");
    let tracked = "SELECT event_id, event_type, tenant_id, outcome FROM event_tracking
                   WHERE status = 'failed'";
    assert_eq!(site.rows(tracked).await, ["crm-0-1|person.set|acme|dead"]);
    let query = DeadLetterQuery {
        limit: 1,
        ..DeadLetterQuery::default()
    };
    let letter = consumer.store.dead_letters(&query).await.unwrap().remove(0);
    assert_eq!(letter.raw, broken.fields);
    assert_eq!(
        (letter.tenant.as_deref(), letter.key.as_deref()),
        (Some("acme"), Some("7"))
    );
}

/// There is nothing that could wait for it.
pub async fn an_undecodable_entry_without_a_key_blocks_nothing<S: Site>() {
    let (site, mut source, mut consumer) = ready::<S>().await;
    let entries = [
        source.send_broken(None),
        source.send_broken(None),
        source.send(&event("person.set", "acme", "7", "{}")),
    ];
    assert_eq!(consumer.settle(&entries).await, "1 applied, 2 dead");
    let entries = [source.send(&event("person.set", "acme", "7", "{}"))];
    assert_eq!(consumer.settle(&entries).await, "1 applied");
    let tracked = "SELECT count(*) FROM event_tracking WHERE status = 'failed'";
    assert_eq!(site.rows(tracked).await, ["2"]);
}

/// Page after page, or the one that is asked for.
pub async fn dead_letters_are_listed_in_order<S: Site>() {
    let (_site, mut source, mut consumer) = ready::<S>().await;
    for n in 0..5 {
        let bad = event("person.set", "acme", &n.to_string(), BAD);
        consumer.settle(&[source.send(&bad)]).await;
    }
    let list = |query: DeadLetterQuery| {
        let store = &consumer.store;
        async move { store.dead_letters(&query).await.unwrap() }
    };
    let page = |after, limit| DeadLetterQuery {
        after,
        limit,
        number: None,
    };
    let all = list(page(0, 100)).await;
    let keys: Vec<_> = all
        .iter()
        .map(|letter| letter.key.as_deref().unwrap())
        .collect();
    assert_eq!(keys, ["0", "1", "2", "3", "4"]);
    assert!(all.is_sorted_by_key(|letter| letter.number));
    assert_eq!(list(page(0, 2)).await, all[..2]);
    assert_eq!(list(page(all[1].number, 2)).await, all[2..4]);
    assert_eq!(list(page(all[4].number, 2)).await, []);
    assert_eq!(list(page(0, 0)).await, []);
    let one = DeadLetterQuery {
        number: Some(all[3].number),
        ..page(0, 100)
    };
    assert_eq!(list(one).await, all[3..4]);
}
