use std::time::{Duration, Instant};

use millstream_core::entry::EntryId;
use millstream_core::log::{Log, ReadLimit};

use super::{add, ids};
use crate::sample::{entries, shard, sized_entry};
use crate::suite::{ALL, PATIENCE, PROMPT, Place, up_to};

/// A read begins above the id that it is given, whether or not an entry has it.
pub async fn a_read_goes_on_after_an_id<P: Place<Handle: Log>>() {
    let place = P::make().await;
    let log = place.connect().await;
    add(&log, &shard(0), EntryId::ZERO, &entries(5..=8)).await;
    for (after, first) in [
        (EntryId::ZERO, 5),
        (EntryId::new(0, u64::MAX), 5),
        (EntryId::new(1, 2), 5),
        (EntryId::new(1, 5), 6),
        (EntryId::new(1, 7), 8),
        (EntryId::new(1, 8), 9),
        (EntryId::new(1, u64::MAX), 9),
        (EntryId::new(2, 0), 9),
        (EntryId::new(u64::MAX, u64::MAX), 9),
    ] {
        let read = log
            .read(&shard(0), after, ALL, Duration::ZERO)
            .await
            .unwrap();
        assert_eq!(read, entries(first..=8), "after {after}");
    }
}

/// No more entries come than asked for; the next read brings the others.
pub async fn a_read_is_limited_by_count<P: Place<Handle: Log>>() {
    let place = P::make().await;
    let log = place.connect().await;
    let shard = shard(0);
    add(&log, &shard, EntryId::ZERO, &entries(1..=5)).await;
    let read = |after, count| log.read(&shard, EntryId::new(1, after), up_to(count), PATIENCE);
    assert_eq!(read(0, 2).await.unwrap(), entries(1..=2));
    assert_eq!(read(2, 2).await.unwrap(), entries(3..=4));
    assert_eq!(read(4, 2).await.unwrap(), entries(5..=5));
    assert_eq!(read(0, 0).await.unwrap(), []);
}

/// Once that many bytes of names and values are read, no further entry comes.
pub async fn a_read_is_limited_by_bytes<P: Place<Handle: Log>>() {
    let place = P::make().await;
    let log = place.connect().await;
    let all: Vec<_> = (1..=5).map(|seq| sized_entry(seq, 100)).collect();
    add(&log, &shard(0), EntryId::ZERO, &all).await;
    for (bytes, expected) in [(1, 1), (100, 1), (101, 2), (299, 3), (300, 3), (1000, 5)] {
        let limit = ReadLimit { bytes, ..ALL };
        let read = log
            .read(&shard(0), EntryId::ZERO, limit, Duration::ZERO)
            .await
            .unwrap();
        assert_eq!(read, all[..expected], "{bytes} bytes");
    }
}

/// An entry that is larger than the limit comes alone; otherwise nobody would ever get past it.
pub async fn the_first_entry_always_comes<P: Place<Handle: Log>>() {
    let place = P::make().await;
    let log = place.connect().await;
    let all = [sized_entry(1, 5_000), sized_entry(2, 5_000)];
    add(&log, &shard(0), EntryId::ZERO, &all).await;
    for bytes in [0, 1, 4_999] {
        let limit = ReadLimit { bytes, ..ALL };
        let read = log
            .read(&shard(0), EntryId::ZERO, limit, Duration::ZERO)
            .await
            .unwrap();
        assert_eq!(ids(&read), [EntryId::new(1, 1)], "{bytes} bytes");
    }
}

/// Without an entry a read comes back empty, after its wait and not much later.
pub async fn an_empty_read_waits_no_longer_than_asked<P: Place<Handle: Log>>() {
    let place = P::make().await;
    let log = place.connect().await;
    for wait in [Duration::ZERO, Duration::from_millis(50)] {
        let start = Instant::now();
        let read = log.read(&shard(0), EntryId::ZERO, ALL, wait).await.unwrap();
        assert_eq!(read, []);
        let took = start.elapsed();
        assert!(
            took >= wait && took < wait + PROMPT,
            "asked for {wait:?}, waited {took:?}"
        );
    }
}

/// A read that is dropped while it waits has taken nothing, and does not keep others from waking.
pub async fn a_dropped_read_loses_nothing<P: Place<Handle: Log>>() {
    let place = P::make().await;
    let (log, writer) = (place.connect().await, place.connect().await);
    let shard = shard(0);
    for seq in 1..=10 {
        let after = EntryId::new(if seq == 1 { 0 } else { 1 }, seq - 1);
        let read = || log.read(&shard, after, ALL, PATIENCE);
        tokio::time::timeout(Duration::from_millis(5), read())
            .await
            .unwrap_err();
        let start = Instant::now();
        let batch = entries(seq..=seq);
        let (read, ()) = tokio::join!(read(), add(&writer, &shard, after, &batch));
        assert_eq!(read.unwrap(), batch);
        assert!(start.elapsed() < PATIENCE / 2, "nobody woke the reader");
    }
}
