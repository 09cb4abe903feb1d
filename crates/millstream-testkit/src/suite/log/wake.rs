use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use millstream_core::entry::EntryId;
use millstream_core::log::Log;

use super::{add, ids};
use crate::sample::{entries, shard};
use crate::suite::{ALL, PATIENCE, PROMPT, Place, median};

/// A reader that waits has an entry within milliseconds when the same handle appends it.
pub async fn a_reader_wakes_at_once<P: Place<Handle: Log>>() {
    let place = P::make().await;
    let log = Arc::new(place.connect().await);
    let typical = latency(Arc::clone(&log), log).await;
    assert!(
        typical < Duration::from_millis(100),
        "typically {typical:?}"
    );
}

/// A reader that waits has an entry soon when another process appends it.
pub async fn a_reader_wakes_for_another_process<P: Place<Handle: Log>>() {
    let place = P::make().await;
    let (reader, writer) = (place.connect().await, place.connect().await);
    let typical = latency(Arc::new(reader), Arc::new(writer)).await;
    assert!(typical < PROMPT / 4, "typically {typical:?}");
}

/// From before the append to after the read, the middle of some rounds.
async fn latency<L: Log + 'static>(reader: Arc<L>, writer: Arc<L>) -> Duration {
    const ROUNDS: u64 = 15;

    let (seen, mut arrivals) = mpsc::channel(1);
    let reading = tokio::spawn(async move {
        let mut after = EntryId::ZERO;
        for _ in 0..ROUNDS {
            let read = reader.read(&shard(0), after, ALL, PATIENCE).await.unwrap();
            after = read.last().expect("an entry before the patience ends").id;
            seen.send(Instant::now()).await.unwrap();
        }
    });
    let mut times = Vec::new();
    let mut last = EntryId::ZERO;
    for seq in 1..=ROUNDS {
        let start = Instant::now();
        add(&*writer, &shard(0), last, &entries(seq..=seq)).await;
        last = EntryId::new(1, seq);
        times.push(arrivals.recv().await.expect("the reader goes on") - start);
    }
    reading.await.unwrap();
    median(times)
}

/// Many readers wait through one handle; an append wakes the one of its shard with its entry.
pub async fn each_reader_wakes_for_its_own_shard<P: Place<Handle: Log>>() {
    const SHARDS: u16 = 16;

    let place = P::make().await;
    let (reader, writer) = (Arc::new(place.connect().await), place.connect().await);
    let (seen, mut arrivals) = mpsc::channel(SHARDS.into());
    for number in 0..SHARDS {
        let (reader, seen) = (Arc::clone(&reader), seen.clone());
        tokio::spawn(async move {
            let read = reader
                .read(&shard(number), EntryId::ZERO, ALL, PATIENCE)
                .await
                .unwrap();
            seen.send((number, ids(&read))).await.unwrap();
        });
    }
    for number in (0..SHARDS).rev() {
        let seq = u64::from(number) + 1;
        add(&writer, &shard(number), EntryId::ZERO, &entries(seq..=seq)).await;
        let (woken, read) = arrivals.recv().await.expect("readers are there");
        assert_eq!((woken, read), (number, vec![EntryId::new(1, seq)]));
    }
}

/// Entries that arrive just while a reader is about to wait do not leave it waiting: two writers, in
/// this and another process, and readers of both that wait for each next entry.
pub async fn no_wake_up_is_lost<P: Place<Handle: Log>>() {
    const ENTRIES: u64 = 150;

    let place = P::make().await;
    let (near, far) = (
        Arc::new(place.connect().await),
        Arc::new(place.connect().await),
    );
    let mut tasks = Vec::new();
    for (number, writer) in [(0, Arc::clone(&near)), (1, Arc::clone(&far))] {
        tasks.push(tokio::spawn(async move {
            let mut last = EntryId::ZERO;
            for seq in 1..=ENTRIES {
                add(&*writer, &shard(number), last, &entries(seq..=seq)).await;
                last = EntryId::new(1, seq);
            }
        }));
        for reader in [&near, &far] {
            let reader = Arc::clone(reader);
            tasks.push(tokio::spawn(async move {
                let mut after = EntryId::ZERO;
                while after.low < ENTRIES {
                    let start = Instant::now();
                    let read = reader
                        .read(&shard(number), after, ALL, PATIENCE)
                        .await
                        .unwrap();
                    assert!(
                        start.elapsed() < PATIENCE / 2,
                        "slept through after {after}"
                    );
                    assert_eq!(read, entries(after.low + 1..=after.low + read.len() as u64));
                    after = read.last().expect("an entry before the patience ends").id;
                }
            }));
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
}
