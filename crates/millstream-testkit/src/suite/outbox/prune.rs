use millstream_core::clock::Timestamp;
use millstream_core::entry::EntryId;
use millstream_core::lease::{Checkpoint, Lease};
use millstream_core::name::EventId;
use millstream_core::outbox::{Outbox, OutboxRow};

use super::{all, event, insert, number_at, shard, text, tops};
use crate::sample::stream;
use crate::suite::Site;

/// Later than everything.
const LATER: Timestamp = Timestamp::from_millis(1_000);

/// After everything.
const END: EntryId = EntryId::new(9, 9);

/// A shard with a row numbered at each of these times, and its lease.
async fn filled<S: Site>(site: &S, outbox: &S::Handle, times: &[i64]) -> (Vec<Lease>, Lease) {
    let mut held = tops(outbox).await;
    let mut own = 0;
    for (n, time) in times.iter().enumerate() {
        let sql = insert("acme", "7", &format!("{{\"n\":{n}}}"));
        site.execute(&sql).await.unwrap();
        let now = Timestamp::from_millis(*time);
        own = number_at(outbox, &mut held, 10, now).await[0].shard;
    }
    let top = held[usize::from(own)].clone();
    (held, top)
}

fn own(top: &Lease) -> u16 {
    match &top.feed {
        millstream_core::lease::Feed::Owned(shard) => shard.number,
        millstream_core::lease::Feed::Shared(_) => unreachable!("relays own their shards"),
    }
}

fn seqs(rows: &[OutboxRow]) -> Vec<u64> {
    rows.iter().map(|row| row.at.low).collect()
}

/// As far as it is told to, at most as much as it is told to, and says how far it came.
pub async fn rows_are_pruned_from_the_beginning<S: Site>() {
    let site = S::make("").await;
    let outbox = site.connect().await;
    let (_, top) = filled(&site, &outbox, &[10; 10]).await;
    let prune = |through, before, limit| {
        let (outbox, top) = (&outbox, &top);
        async move {
            let before = Timestamp::from_millis(before);
            let pruned = outbox.prune(top, through, before, limit).await.unwrap();
            (pruned, seqs(&all(outbox, own(top)).await))
        }
    };
    let at = |seq| EntryId::new(1, seq);
    let left = |from: u64| (from..=10).collect::<Vec<_>>();
    assert_eq!(prune(EntryId::ZERO, 99, 99).await, (EntryId::ZERO, left(1)));
    assert_eq!(prune(at(9), 10, 99).await, (EntryId::ZERO, left(1)));
    assert_eq!(prune(at(9), 11, 0).await, (EntryId::ZERO, left(1)));
    assert_eq!(prune(at(2), 11, 99).await, (at(2), left(3)));
    assert_eq!(prune(at(2), 11, 99).await, (at(2), left(3)), "once more");
    assert_eq!(prune(at(1), 11, 99).await, (at(2), left(3)), "backwards");
    assert_eq!(prune(at(9), 11, 3).await, (at(5), left(6)));
    assert_eq!(prune(END, 11, usize::MAX).await, (at(10), vec![]));
    assert_eq!(prune(END, 11, usize::MAX).await, (at(10), vec![]));
}

/// Times need not rise: the first one that is too late holds what follows, so that no gap comes to be.
pub async fn a_late_row_holds_what_follows_it<S: Site>() {
    let site = S::make("").await;
    let outbox = site.connect().await;
    let (_, top) = filled(&site, &outbox, &[10, 20, 50, 20, 10]).await;
    for (before, expected) in [(20, 1), (21, 2), (50, 2), (51, 5)] {
        let before = Timestamp::from_millis(before);
        let pruned = outbox.prune(&top, END, before, 99).await.unwrap();
        assert_eq!(pruned, EntryId::new(1, expected));
        let left = seqs(&all(&outbox, own(&top)).await);
        assert_eq!(left, (expected + 1..=5).collect::<Vec<_>>());
    }
}

/// Whoever reads on, and whoever numbers on, finds which event came before.
pub async fn what_follows_a_pruned_row_names_it<S: Site>() {
    let site = S::make("").await;
    let outbox = site.connect().await;
    let (mut held, top) = filled(&site, &outbox, &[10; 4]).await;
    let shard = shard(own(&top));
    let rows = all(&outbox, shard.number).await;
    let through = EntryId::new(1, 2);
    outbox.prune(&top, through, LATER, 99).await.unwrap();
    for after in [EntryId::ZERO, EntryId::new(1, 1), through] {
        let found = outbox.numbered(&shard, after, 99).await.unwrap();
        assert_eq!(found, rows[2..], "after {after}");
    }

    let known = outbox.checkpoint_at(&shard, through).await.unwrap();
    let expected = Checkpoint {
        at: through,
        event_id: EventId::new(text(&rows[1].event_id)).ok(),
    };
    assert_eq!(known, Some(expected), "the last of those that are gone");
    let earlier = EntryId::new(1, 1);
    assert_eq!(outbox.checkpoint_at(&shard, earlier).await.unwrap(), None);

    outbox.prune(&top, END, LATER, 99).await.unwrap();
    assert_eq!(all(&outbox, shard.number).await, []);
    site.execute(&insert("acme", "7", "{}")).await.unwrap();
    let next = number_at(&outbox, &mut held, 9, LATER).await;
    assert_eq!(next[0].at, EntryId::new(1, 5));
    assert_eq!(next[0].prev.as_ref(), Some(&rows[3].event_id));
    assert_eq!(next[0].entity_version, 5, "the key's count goes on");
    assert_eq!(all(&outbox, shard.number).await, next);
}

/// Each at its own place, which every process sees; other streams are not touched.
pub async fn shards_are_pruned_apart<S: Site>() {
    let site = S::make("").await;
    let outbox = site.connect().await;
    let events = stream("events");
    assert_eq!(outbox.pruned(&events).await.unwrap(), []);
    let mut held = tops(&outbox).await;
    assert_eq!(outbox.pruned(&events).await.unwrap(), [EntryId::ZERO; 3]);
    let sql: Vec<_> = (0..40)
        .map(|n| insert("acme", &n.to_string(), "{}"))
        .collect();
    site.execute(&sql.concat()).await.unwrap();
    number_at(&outbox, &mut held, 99, LATER).await;
    let before = [
        all(&outbox, 0).await,
        all(&outbox, 1).await,
        all(&outbox, 2).await,
    ];

    let later = Timestamp::from_millis(LATER.as_millis() + 1);
    for (index, count) in [(2, 3), (0, 1)] {
        let top = &held[index];
        outbox.prune(top, END, later, count).await.unwrap();
    }
    let process = site.connect().await;
    let expected = [EntryId::new(1, 1), EntryId::ZERO, EntryId::new(1, 3)];
    assert_eq!(process.pruned(&events).await.unwrap(), expected);
    assert_eq!(process.pruned(&stream("other")).await.unwrap(), []);
    assert_eq!(all(&outbox, 0).await, before[0][1..]);
    assert_eq!(all(&outbox, 1).await, before[1]);
    assert_eq!(all(&outbox, 2).await, before[2][3..]);
    assert!(before.iter().all(|rows| rows.len() > 3), "keys are spread");
}

/// What waits for its number is not pruned, however old it is; ids that are gone may be used again.
pub async fn what_waits_is_not_pruned<S: Site>() {
    let site = S::make("").await;
    let outbox = site.connect().await;
    let (_, top) = filled(&site, &outbox, &[10; 2]).await;
    let mut known = event("acme", "7", "{}");
    known.id = EventId::new(text(&all(&outbox, own(&top)).await[0].event_id)).ok();
    let events = stream("events");
    let insert = || {
        let (outbox, known) = (&outbox, [known.clone()]);
        async move {
            let inserted = outbox.insert(&stream("events"), &known).await.unwrap();
            (inserted.added, inserted.repeated)
        }
    };
    assert_eq!(insert().await, (0, 1));
    outbox.prune(&top, END, LATER, 99).await.unwrap();
    assert_eq!(insert().await, (1, 0));
    let pruned = outbox.prune(&top, END, LATER, 99).await.unwrap();
    assert_eq!(pruned, EntryId::new(1, 2));
    assert_eq!(outbox.unsent(&events).await.unwrap(), 1);
}
