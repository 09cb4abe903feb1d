use millstream_core::acknowledgment::Exception;
use millstream_core::clock::Timestamp;
use millstream_core::delivery::Outcome;
use millstream_core::entry::EntryId;
use millstream_core::error::ErrorKind;
use millstream_core::lease::{Checkpoint, Lease};
use millstream_core::name::EventId;
use millstream_core::outbox::Outbox;

use super::{NOW, SHARDS, all, insert, number, registered, shard, text, tops};
use crate::sample::stream;
use crate::suite::Site;

const LATER: Timestamp = Timestamp::from_millis(NOW.as_millis() + 1);

/// Fills the outbox with events of ten keys, as they follow each other.
async fn fill<S: Site>(site: &S, events: std::ops::Range<usize>) {
    let sql: Vec<_> = events
        .map(|n| insert("acme", &(n % 10).to_string(), &format!("{{\"n\":{n}}}")))
        .collect();
    site.execute(&sql.concat()).await.unwrap();
}

/// Begins a generation, and moves the tops.
async fn begin(outbox: &impl Outbox, tops: &mut [Lease], settled: &[EntryId]) -> EntryId {
    let begun = outbox.begin_generation(tops, settled, 0).await.unwrap();
    assert_eq!(begun.len(), tops.len());
    for (top, checkpoint) in tops.iter_mut().zip(&begun) {
        assert_eq!(checkpoint, &begun[0], "all shards begin alike");
        assert_eq!(checkpoint.event_id, None);
        top.checkpoint = checkpoint.clone();
        let there = outbox.checkpoint(top).await.unwrap();
        assert_eq!(there.as_ref(), Some(checkpoint));
    }
    begun[0].at
}

/// What was settled keeps its number; the rest gets new ones, in the order that it had.
pub async fn a_new_generation_sends_again_what_was_not_settled<S: Site>() {
    let site = S::make("").await;
    let outbox = site.connect().await;
    let mut held = tops(&outbox).await;
    fill(&site, 0..60).await;
    number(&outbox, &mut held, 50).await;
    let mut before = Vec::new();
    for shard in 0..SHARDS {
        before.push(all(&outbox, shard).await);
    }
    // Some, none, and more than there is.
    let settled = [EntryId::new(1, 3), EntryId::ZERO, EntryId::new(1, 999)];
    let kept = [3, 0, before[2].len()];
    assert_eq!(
        begin(&outbox, &mut held, &settled).await,
        EntryId::new(2, 0)
    );

    for (number, kept) in (0..SHARDS).zip(kept) {
        let rows = &before[usize::from(number)];
        assert_eq!(all(&outbox, number).await, rows[..kept]);
        let gone = EntryId::new(1, kept as u64 + 1);
        let gone = outbox.checkpoint_at(&shard(number), gone).await.unwrap();
        assert_eq!(gone, None);
    }
    let events = stream("events");
    let lowered = 50 - kept.iter().sum::<usize>();
    let unsent = outbox.unsent(&events).await.unwrap();
    assert_eq!(unsent, lowered as u64 + 10);

    let rows = number(&outbox, &mut held, 999).await;
    assert_eq!(rows.len() as u64, unsent);
    for (number, kept) in (0..SHARDS).zip(kept) {
        let before = &before[usize::from(number)];
        let after = EntryId::new(2, 0);
        let again = outbox.numbered(&shard(number), after, 999).await.unwrap();
        let own: Vec<_> = rows.iter().filter(|row| row.shard == number).collect();
        assert_eq!(again.iter().collect::<Vec<_>>(), own);
        let mut prev = None;
        for (seq, row) in (1..).zip(&again) {
            assert_eq!(row.at, EntryId::new(2, seq));
            assert_eq!(row.prev, prev, "the first one follows nothing");
            prev = Some(row.event_id.clone());
        }
        for (row, earlier) in again.iter().zip(&before[kept..]) {
            assert_eq!(row.event_id, earlier.event_id);
            assert_eq!(row.entity_version, earlier.entity_version);
            assert_eq!(row.data, earlier.data);
        }
        let both = all(&outbox, number).await;
        assert_eq!(both[..kept], before[..kept]);
        assert_eq!(both[kept..], again);
        let last = again.last().unwrap();
        let known = outbox.checkpoint_at(&shard(number), last.at).await.unwrap();
        assert_eq!(known.as_ref(), Some(&held[usize::from(number)].checkpoint));
        let id = known.unwrap().event_id.unwrap();
        assert_eq!(id.as_str(), text(&last.event_id));
    }
}

/// One above the highest of all shards and of what others have seen, and above the first in any
/// case: a database that was restored to its beginning knows of none.
pub async fn generations_rise_over_all_shards<S: Site>() {
    let site = S::make("").await;
    let outbox = site.connect().await;
    let mut held = tops(&outbox).await;
    let nothing = [EntryId::ZERO; SHARDS as usize];
    for generation in 2..5 {
        let begun = begin(&outbox, &mut held, &nothing).await;
        assert_eq!(begun, EntryId::new(generation, 0));
    }
    fill(&site, 0..1).await;
    let row = number(&outbox, &mut held, 9).await.remove(0);
    assert_eq!((row.at, row.prev), (EntryId::new(4, 1), None));

    for wrong in [&nothing[..2], &[]] {
        let error = outbox.begin_generation(&held, wrong, 0).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misconfigured, "{error}");
    }
    assert_eq!(
        begin(&outbox, &mut held, &nothing).await,
        EntryId::new(5, 0)
    );
    for (above, expected) in [(0, 6), (6, 7), (5, 8), (40, 41)] {
        let begun = outbox.begin_generation(&held, &nothing, above).await;
        for (top, checkpoint) in held.iter_mut().zip(begun.unwrap()) {
            assert_eq!(checkpoint.at, EntryId::new(expected, 0), "above {above}");
            top.checkpoint = checkpoint;
        }
    }
    assert_eq!(outbox.unsent(&stream("events")).await.unwrap(), 1);
}

/// They follow the new generation from its beginning; what they told of events stays told.
pub async fn subscribers_go_on_from_the_new_generation<S: Site>() {
    let site = S::make("").await;
    let outbox = site.connect().await;
    let mut held = tops(&outbox).await;
    let mut crm = registered("crm");
    crm.shards[1].base = EntryId::new(1, 3);
    crm.shards[1].settled = Checkpoint {
        at: EntryId::new(1, 8),
        event_id: EventId::new("e").ok(),
    };
    crm.shards[1].omitted = 3;
    crm.shards[1].exceptions = vec![Exception {
        at: EntryId::new(1, 5),
        outcome: Outcome::Dead,
        attempts: 1,
        reason: "no".into(),
    }];
    outbox.subscribe(&held, &crm).await.unwrap();
    outbox.subscribe(&held, &registered("pay")).await.unwrap();
    begin(&outbox, &mut held, &[EntryId::ZERO; 3]).await;

    let begun = |mut subscriber: millstream_core::outbox::Registered| {
        for progress in &mut subscriber.shards {
            progress.base = EntryId::new(2, 0);
            progress.settled = Checkpoint {
                at: EntryId::new(2, 0),
                event_id: None,
            };
        }
        subscriber
    };
    let found = outbox.subscribers(&stream("events")).await.unwrap();
    assert_eq!(found, [begun(crm), begun(registered("pay"))]);
}

/// What an older generation left comes first, in its order, and the marks go on from there.
pub async fn an_older_generation_is_pruned_first<S: Site>() {
    let site = S::make("").await;
    let outbox = site.connect().await;
    let mut held = tops(&outbox).await;
    fill(&site, 0..30).await;
    number(&outbox, &mut held, 999).await;
    let old = all(&outbox, 0).await.len() as u64;
    assert!(old > 4, "keys are spread");
    let at = EntryId::new;
    let first = outbox.prune(&held[0], at(1, 1), LATER, 99).await.unwrap();
    assert_eq!(first, at(1, 1));
    let settled = [at(1, old - 2), EntryId::ZERO, EntryId::ZERO];
    begin(&outbox, &mut held, &settled).await;
    number(&outbox, &mut held, 999).await;
    let pruned = outbox.pruned(&stream("events")).await.unwrap();
    assert_eq!(pruned, [at(1, 1), EntryId::ZERO, EntryId::ZERO]);

    let top = held[0].clone();
    let prune = |through, limit| {
        let (outbox, top) = (&outbox, &top);
        async move {
            let pruned = outbox.prune(top, through, LATER, limit).await.unwrap();
            (pruned, all(outbox, 0).await)
        }
    };
    let (pruned, rows) = prune(at(2, 9), 2).await;
    assert_eq!((pruned, rows[0].at), (at(1, 3), at(1, 4)));
    assert!(rows[0].prev.is_some());
    let (pruned, rows) = prune(at(2, 0), 99).await;
    assert_eq!((pruned, rows[0].at), (at(1, old - 2), at(2, 1)));
    assert_eq!(rows[0].prev, None, "nothing comes before a generation");
    let (pruned, rows) = prune(at(2, 1), 99).await;
    assert_eq!((pruned, rows[0].at), (at(2, 1), at(2, 2)));
    assert!(rows[0].prev.is_some());
}
