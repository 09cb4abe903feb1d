use std::time::{Duration, Instant};

use millstream_core::entry::{EntryId, Shard};
use millstream_core::error::ErrorKind;
use millstream_core::log::{Appended, Description, Log, Position};

use super::add;
use crate::sample::{app, database, entries, entry, shard};
use crate::suite::{ALL, PATIENCE, Place};

const TOP: EntryId = EntryId::new(1, 5);

/// A place, and a log there whose shards 0 and 1 hold `1-1` to [`TOP`] and a position each.
async fn filled<P: Place<Handle: Log>>() -> (P, P::Handle) {
    let place = P::make().await;
    let log = place.connect().await;
    for number in [0, 1] {
        add(&log, &shard(number), EntryId::ZERO, &entries(1..=5)).await;
        log.publish_position(&shard(number), &position(4))
            .await
            .unwrap();
    }
    (place, log)
}

fn position(seq: u64) -> Position {
    Position {
        group: app("hr"),
        database: database("d1"),
        at: EntryId::new(1, seq),
    }
}

/// Checks that a shard is as [`filled`] left it.
async fn check_untouched(log: &impl Log, shard: &Shard) {
    let read = log.read(shard, EntryId::ZERO, ALL, Duration::ZERO).await;
    assert_eq!(read.unwrap(), entries(1..=5));
    assert_eq!(log.describe(shard).await.unwrap().added, 5);
    assert_eq!(log.positions(shard).await.unwrap(), [position(4)]);
}

/// What was there is gone, as if the shard had only ever gone from the base on; others stay.
pub async fn a_replaced_shard_begins_anew<P: Place<Handle: Log>>() {
    let (_place, log) = filled::<P>().await;
    let base = EntryId::new(1, 2);
    let replaced = log.replace(&shard(0), TOP, base, &entries(3..=4)).await;
    assert_eq!(replaced.unwrap(), Appended::Added);
    let read = log
        .read(&shard(0), EntryId::ZERO, ALL, Duration::ZERO)
        .await;
    assert_eq!(read.unwrap(), entries(3..=4));
    let expected = Description {
        length: 2,
        added: 4,
        first: Some(EntryId::new(1, 3)),
        last: EntryId::new(1, 4),
    };
    assert_eq!(log.describe(&shard(0)).await.unwrap(), expected);
    let stale = log.append(&shard(0), TOP, &entries(6..=6)).await.unwrap();
    assert_eq!(
        stale,
        Appended::Mismatch {
            last: EntryId::new(1, 4)
        }
    );
    add(&log, &shard(0), EntryId::new(1, 4), &entries(5..=7)).await;
    assert_eq!(log.describe(&shard(0)).await.unwrap().added, 7);
    check_untouched(&log, &shard(1)).await;
}

/// Who judged by another last id changes nothing, and learns the right one.
pub async fn a_replacement_of_something_else_changes_nothing<P: Place<Handle: Log>>() {
    let (_place, log) = filled::<P>().await;
    for judged in [EntryId::ZERO, EntryId::new(1, 4), EntryId::new(2, 5)] {
        for count in [0, 3] {
            let replaced = log
                .replace(&shard(0), judged, EntryId::ZERO, &entries(1..=count))
                .await
                .unwrap();
            assert_eq!(replaced, Appended::Mismatch { last: TOP }, "{judged}");
        }
    }
    check_untouched(&log, &shard(0)).await;
}

/// Who does not know whether a replacement got through asks by doing it again.
pub async fn a_replacement_that_is_repeated_names_its_last_entry<P: Place<Handle: Log>>() {
    let (_place, log) = filled::<P>().await;
    let (shard, base, batch) = (shard(0), EntryId::new(1, 2), entries(3..=8));
    let replace = || log.replace(&shard, TOP, base, &batch);
    assert_eq!(replace().await.unwrap(), Appended::Added);
    let last = EntryId::new(1, 8);
    assert_eq!(replace().await.unwrap(), Appended::Mismatch { last });
    assert_eq!(log.describe(&shard).await.unwrap().length, 6);
}

/// Without entries the shard is empty, and goes on after the base.
pub async fn a_replacement_may_be_empty<P: Place<Handle: Log>>() {
    let (_place, log) = filled::<P>().await;
    let base = EntryId::new(1, 3);
    let replaced = log.replace(&shard(0), TOP, base, &[]).await.unwrap();
    assert_eq!(replaced, Appended::Added);
    let expected = Description {
        length: 0,
        added: 3,
        first: None,
        last: base,
    };
    assert_eq!(log.describe(&shard(0)).await.unwrap(), expected);
    add(&log, &shard(0), base, &entries(4..=5)).await;

    let replaced = log.replace(&shard(0), TOP, EntryId::ZERO, &[]).await;
    assert_eq!(replaced.unwrap(), Appended::Added);
    let empty = Description::default();
    assert_eq!(log.describe(&shard(0)).await.unwrap(), empty);
    add(&log, &shard(0), EntryId::ZERO, &entries(1..=2)).await;
}

/// A shard that the transport lost altogether is judged by [`EntryId::ZERO`].
pub async fn a_missing_shard_can_be_replaced<P: Place<Handle: Log>>() {
    let place = P::make().await;
    let log = place.connect().await;
    for (number, count) in [(0, 0), (1, 2)] {
        let (base, batch) = (EntryId::new(1, 7), entries(8..=7 + count));
        let replaced = log
            .replace(&shard(number), EntryId::ZERO, base, &batch)
            .await;
        assert_eq!(replaced.unwrap(), Appended::Added);
        let expected = Description {
            length: count,
            added: 7 + count,
            first: batch.first().map(|entry| entry.id),
            last: EntryId::new(1, 7 + count),
        };
        assert_eq!(log.describe(&shard(number)).await.unwrap(), expected);
    }
}

/// The owner's entries lie where a foreign one had raised the last id.
pub async fn a_replacement_takes_back_a_raised_top<P: Place<Handle: Log>>() {
    let (_place, log) = filled::<P>().await;
    let far = EntryId::new(9, 9);
    let foreign = [crate::sample::entry_at(far, crate::sample::fields(0))];
    add(&log, &shard(0), TOP, &foreign).await;
    let replaced = log
        .replace(&shard(0), far, EntryId::ZERO, &entries(1..=5))
        .await;
    assert_eq!(replaced.unwrap(), Appended::Added);
    add(&log, &shard(0), TOP, &entries(6..=6)).await;
}

/// That the ids rise from the base is checked before anything is removed.
pub async fn ids_of_a_replacement_that_do_not_rise_are_refused<P: Place<Handle: Log>>() {
    let (_place, log) = filled::<P>().await;
    for seqs in [vec![2], vec![3, 3], vec![4, 3]] {
        let batch: Vec<_> = seqs.iter().map(|&seq| entry(seq)).collect();
        let error = log
            .replace(&shard(0), TOP, EntryId::new(1, 2), &batch)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{seqs:?}: {error}");
    }
    check_untouched(&log, &shard(0)).await;
}

/// Published positions are gone: whoever holds one publishes it again, lower than before too.
pub async fn positions_go_with_a_replacement<P: Place<Handle: Log>>() {
    let (_place, log) = filled::<P>().await;
    let base = EntryId::new(1, 1);
    let replaced = log.replace(&shard(0), TOP, base, &entries(2..=5)).await;
    assert_eq!(replaced.unwrap(), Appended::Added);
    assert_eq!(log.positions(&shard(0)).await.unwrap(), []);
    assert_eq!(log.positions(&shard(1)).await.unwrap(), [position(4)]);
    log.publish_position(&shard(0), &position(2)).await.unwrap();
    assert_eq!(log.positions(&shard(0)).await.unwrap(), [position(2)]);
}

/// A reader that waits for an entry which was lost has it once the shard was replaced, although the
/// last id is what it was.
pub async fn a_reader_wakes_for_a_replacement<P: Place<Handle: Log>>() {
    let (place, reader) = filled::<P>().await;
    let writer = place.connect().await;
    let shard = shard(0);
    for round in 0..50 {
        assert_eq!(writer.trim(&shard, EntryId::new(2, 0)).await.unwrap(), 5);
        let start = Instant::now();
        let replace = async {
            // Before or after the reader has begun to wait: each round a bit later.
            for _ in 0..round {
                tokio::task::yield_now().await;
            }
            let replaced = writer
                .replace(&shard, TOP, EntryId::ZERO, &entries(1..=5))
                .await;
            assert_eq!(replaced.unwrap(), Appended::Added);
        };
        let after = EntryId::new(1, 4);
        let (read, ()) = tokio::join!(reader.read(&shard, after, ALL, PATIENCE), replace);
        assert_eq!(read.unwrap(), entries(5..=5));
        assert!(start.elapsed() < PATIENCE / 2, "nobody woke the reader");
    }
}
