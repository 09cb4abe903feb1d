use std::time::Duration;

use millstream_core::entry::EntryId;
use millstream_core::log::{Appended, Description, Log};

use super::add;
use crate::sample::{entries, shard};
use crate::suite::{ALL, Place};

/// The floor itself stays; trimming again, or below, removes nothing.
pub async fn trimming_removes_what_is_below<P: Place<Handle: Log>>() {
    let place = P::make().await;
    let log = place.connect().await;
    assert_eq!(log.trim(&shard(0), EntryId::new(1, 1)).await.unwrap(), 0);
    add(&log, &shard(0), EntryId::ZERO, &entries(1..=5)).await;
    add(&log, &shard(1), EntryId::ZERO, &entries(1..=5)).await;
    for (floor, removed) in [(3, 2), (3, 0), (1, 0), (5, 2)] {
        assert_eq!(
            log.trim(&shard(0), EntryId::new(1, floor)).await.unwrap(),
            removed,
            "{floor}"
        );
    }
    let read = |number| {
        let (log, shard) = (&log, shard(number));
        async move {
            log.read(&shard, EntryId::ZERO, ALL, Duration::ZERO)
                .await
                .unwrap()
        }
    };
    assert_eq!(read(0).await, entries(5..=5));
    assert_eq!(read(1).await, entries(1..=5));
}

/// With all entries gone the last id is still known, and only an append after it is accepted.
pub async fn a_trimmed_shard_goes_on<P: Place<Handle: Log>>() {
    let place = P::make().await;
    let log = place.connect().await;
    add(&log, &shard(0), EntryId::ZERO, &entries(1..=5)).await;
    assert_eq!(log.trim(&shard(0), EntryId::new(2, 0)).await.unwrap(), 5);
    assert_eq!(
        log.read(&shard(0), EntryId::ZERO, ALL, Duration::ZERO)
            .await
            .unwrap(),
        []
    );
    let last = EntryId::new(1, 5);
    let empty = Description {
        length: 0,
        added: 5,
        first: None,
        last,
    };
    assert_eq!(log.describe(&shard(0)).await.unwrap(), empty);
    let fresh = log
        .append(&shard(0), EntryId::ZERO, &entries(1..=1))
        .await
        .unwrap();
    assert_eq!(fresh, Appended::Mismatch { last });
    add(&log, &shard(0), last, &entries(6..=6)).await;
    assert_eq!(
        log.describe(&shard(0)).await.unwrap().first,
        Some(EntryId::new(1, 6))
    );
}

/// However many there are, exactly those below the floor go.
pub async fn trimming_many_entries_counts_them<P: Place<Handle: Log>>() {
    let place = P::make().await;
    let log = place.connect().await;
    add(&log, &shard(0), EntryId::ZERO, &entries(1..=5_000)).await;
    assert_eq!(
        log.trim(&shard(0), EntryId::new(1, 4_001)).await.unwrap(),
        4_000
    );
    let description = log.describe(&shard(0)).await.unwrap();
    assert_eq!(description.length, 1_000);
    assert_eq!(description.first, Some(EntryId::new(1, 4_001)));
}

/// Describing, reading and trimming do not need the shard to exist.
pub async fn an_untouched_shard_is_empty<P: Place<Handle: Log>>() {
    let place = P::make().await;
    let log = place.connect().await;
    assert_eq!(
        log.describe(&shard(7)).await.unwrap(),
        Description::default()
    );
    assert_eq!(
        log.read(&shard(7), EntryId::ZERO, ALL, Duration::ZERO)
            .await
            .unwrap(),
        []
    );
    assert_eq!(log.positions(&shard(7)).await.unwrap(), []);
}

/// Length counts what is there, `added` what ever was.
pub async fn a_description_counts<P: Place<Handle: Log>>() {
    let place = P::make().await;
    let log = place.connect().await;
    add(&log, &shard(0), EntryId::ZERO, &entries(1..=2)).await;
    add(&log, &shard(0), EntryId::new(1, 2), &entries(3..=4)).await;
    log.trim(&shard(0), EntryId::new(1, 2)).await.unwrap();
    let expected = Description {
        length: 3,
        added: 4,
        first: Some(EntryId::new(1, 2)),
        last: EntryId::new(1, 4),
    };
    assert_eq!(log.describe(&shard(0)).await.unwrap(), expected);
    // The same through another connection: nothing is counted in a process.
    assert_eq!(
        place.connect().await.describe(&shard(0)).await.unwrap(),
        expected
    );
}
