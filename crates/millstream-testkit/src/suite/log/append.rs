use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use millstream_core::entry::{EntryId, Fields};
use millstream_core::error::ErrorKind;
use millstream_core::limits::ENTRY_FIELDS_MAX;
use millstream_core::log::{Appended, Log};

use super::{add, ids};
use crate::sample::{app, entries, entry, entry_at, fields, shard, sized_entry};
use crate::suite::{ALL, Place};

/// The first append names [`EntryId::ZERO`] as the last id; its entries come back as they were.
pub async fn the_first_append_follows_zero<P: Place<Handle: Log>>() {
    let place = P::make().await;
    let log = place.connect().await;
    add(&log, &shard(0), EntryId::ZERO, &entries(1..=3)).await;
    add(&log, &shard(0), EntryId::new(1, 3), &entries(4..=4)).await;
    let read = log
        .read(&shard(0), EntryId::ZERO, ALL, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(read, entries(1..=4));
}

/// Whether the last id is above, below, or none: a mismatch adds nothing and names it.
pub async fn an_append_after_another_id_adds_nothing<P: Place<Handle: Log>>() {
    let place = P::make().await;
    let log = place.connect().await;
    let mismatch = |last| Appended::Mismatch { last };
    let append = |last, seqs| {
        let (log, entries) = (&log, entries(seqs));
        async move { log.append(&shard(0), last, &entries).await.unwrap() }
    };
    assert_eq!(
        append(EntryId::new(1, 1), 2..=3).await,
        mismatch(EntryId::ZERO)
    );
    add(&log, &shard(0), EntryId::ZERO, &entries(1..=2)).await;
    assert_eq!(
        append(EntryId::ZERO, 1..=4).await,
        mismatch(EntryId::new(1, 2))
    );
    assert_eq!(
        append(EntryId::new(1, 1), 2..=4).await,
        mismatch(EntryId::new(1, 2))
    );
    assert_eq!(
        append(EntryId::new(1, 3), 4..=4).await,
        mismatch(EntryId::new(1, 2))
    );
    let read = log
        .read(&shard(0), EntryId::ZERO, ALL, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(read, entries(1..=2));
}

/// Who does not know whether an append got through asks by doing it again.
pub async fn an_append_that_is_repeated_names_its_last_entry<P: Place<Handle: Log>>() {
    let place = P::make().await;
    let log = place.connect().await;
    add(&log, &shard(0), EntryId::ZERO, &entries(1..=5)).await;
    let again = log
        .append(&shard(0), EntryId::ZERO, &entries(1..=5))
        .await
        .unwrap();
    assert_eq!(
        again,
        Appended::Mismatch {
            last: EntryId::new(1, 5)
        }
    );
}

/// Two relays that believe to own a shard: each append is one's or the other's, never mixed.
pub async fn of_rival_appends_one_wins<P: Place<Handle: Log>>() {
    const ROUNDS: u64 = 25;
    const BATCH: u64 = 4;

    let place = P::make().await;
    let mut rivals = Vec::new();
    for name in ["a", "b"] {
        let log = Arc::new(place.connect().await);
        rivals.push(tokio::spawn(async move {
            let (mut last, mut won) = (EntryId::ZERO, 0);
            while last.low < ROUNDS * BATCH {
                let batch: Vec<_> = (1..=BATCH)
                    .map(|step| {
                        let fields = [(Bytes::from("by"), Bytes::from(name))]
                            .into_iter()
                            .collect();
                        entry_at(EntryId::new(1, last.low + step), fields)
                    })
                    .collect();
                last = match log.append(&shard(0), last, &batch).await.unwrap() {
                    Appended::Added => {
                        won += 1;
                        EntryId::new(1, last.low + BATCH)
                    }
                    Appended::Mismatch { last } => last,
                };
            }
            won
        }));
    }
    let mut won = 0;
    for rival in rivals {
        won += rival.await.unwrap();
    }
    assert_eq!(won, ROUNDS);

    let log = place.connect().await;
    let read = log
        .read(&shard(0), EntryId::ZERO, ALL, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(ids(&read), ids(&entries(1..=ROUNDS * BATCH)));
    for batch in read.chunks(4) {
        assert!(
            batch.iter().all(|entry| entry.fields == batch[0].fields),
            "{batch:?}"
        );
    }
}

/// That the caller's ids rise is checked before anything is added.
pub async fn ids_that_do_not_rise_are_refused<P: Place<Handle: Log>>() {
    let place = P::make().await;
    let log = place.connect().await;
    add(&log, &shard(0), EntryId::ZERO, &entries(1..=2)).await;
    for seqs in [vec![2], vec![3, 3], vec![4, 3]] {
        let batch: Vec<_> = seqs.iter().map(|&seq| entry(seq)).collect();
        let error = log
            .append(&shard(0), EntryId::new(1, 2), &batch)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{seqs:?}: {error}");
    }
    assert_eq!(
        log.describe(&shard(0)).await.unwrap().last,
        EntryId::new(1, 2)
    );
}

/// An append of no entries tells whether the last id is the expected one.
pub async fn appending_nothing_only_compares<P: Place<Handle: Log>>() {
    let place = P::make().await;
    let log = place.connect().await;
    add(&log, &shard(0), EntryId::ZERO, &[]).await;
    add(&log, &shard(0), EntryId::ZERO, &entries(1..=1)).await;
    add(&log, &shard(0), EntryId::new(1, 1), &[]).await;
    let answer = log.append(&shard(0), EntryId::ZERO, &[]).await.unwrap();
    assert_eq!(
        answer,
        Appended::Mismatch {
            last: EntryId::new(1, 1)
        }
    );
    assert_eq!(log.describe(&shard(0)).await.unwrap().added, 1);
}

/// Ids rise across generations, and a new generation begins at 1 again.
pub async fn a_new_generation_follows_the_old_one<P: Place<Handle: Log>>() {
    let place = P::make().await;
    let log = place.connect().await;
    let second = entry_at(EntryId::new(2, 1), fields(1));
    let mut all = entries(9..=10);
    add(&log, &shard(0), EntryId::ZERO, &all).await;
    all.push(second);
    add(&log, &shard(0), EntryId::new(1, 10), &all[2..]).await;
    let read = log
        .read(&shard(0), EntryId::new(1, 9), ALL, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(ids(&read), [EntryId::new(1, 10), EntryId::new(2, 1)]);
}

/// Shards of one stream, and streams of one name with other owners, have nothing in common.
pub async fn shards_are_apart<P: Place<Handle: Log>>() {
    let place = P::make().await;
    let log = place.connect().await;
    let mut other = shard(0);
    other.owner = crate::sample::app("hr");
    for (shard, count) in [(shard(0), 1), (shard(1), 2), (other, 3)] {
        add(&log, &shard, EntryId::ZERO, &entries(1..=count)).await;
        let read = log
            .read(&shard, EntryId::ZERO, ALL, Duration::ZERO)
            .await
            .unwrap();
        assert_eq!(read, entries(1..=count));
    }
}

/// Names and values are bytes: NUL, invalid UTF-8, nothing at all, and a name twice.
pub async fn any_bytes_come_back<P: Place<Handle: Log>>() {
    let place = P::make().await;
    let log = place.connect().await;
    let mut fields = Fields::default();
    fields.push("text", "O'Brien; -- \u{fffd} \u{1f980}");
    fields.push("empty", "");
    fields.push("", "no name");
    fields.push("twice", "1");
    fields.push("twice", "2");
    fields.push(&b"\x00\xff\xfe\r\n"[..], (0..=255).collect::<Vec<u8>>());
    let entry = entry_at(EntryId::new(1, 1), fields);
    add(&log, &shard(0), EntryId::ZERO, std::slice::from_ref(&entry)).await;
    let read = log
        .read(&shard(0), EntryId::ZERO, ALL, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(read, [entry]);
}

/// The largest entry that the limits allow is no problem.
pub async fn a_large_entry_comes_back<P: Place<Handle: Log>>() {
    let place = P::make().await;
    let log = place.connect().await;
    let large = [sized_entry(1, millstream_core::limits::ENTRY_BYTES_MAX)];
    add(&log, &shard(0), EntryId::ZERO, &large).await;
    let read = log
        .read(&shard(0), EntryId::ZERO, ALL, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(read, large);
}

/// An entry has from one to [`ENTRY_FIELDS_MAX`] fields; with another number nothing of its batch is
/// added.
pub async fn an_entry_has_some_fields<P: Place<Handle: Log>>() {
    let place = P::make().await;
    let log = place.connect().await;
    let many = |count| -> Fields {
        (0..count)
            .map(|number| (Bytes::from(format!("f{number}")), Bytes::from("v")))
            .collect()
    };
    for count in [0, ENTRY_FIELDS_MAX + 1] {
        let batch = [entry(1), entry_at(EntryId::new(1, 2), many(count))];
        let answers = [
            log.append(&shard(0), EntryId::ZERO, &batch).await.map(drop),
            log.replace(&shard(0), EntryId::ZERO, EntryId::ZERO, &batch)
                .await
                .map(drop),
            log.acknowledge(&app("crm"), &many(count)).await,
        ];
        for answer in answers {
            let error = answer.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{count}: {error}");
        }
    }
    assert_eq!(log.describe(&shard(0)).await.unwrap().last, EntryId::ZERO);
    let most = [entry_at(EntryId::new(1, 1), many(ENTRY_FIELDS_MAX))];
    add(&log, &shard(0), EntryId::ZERO, &most).await;
    let read = log
        .read(&shard(0), EntryId::ZERO, ALL, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(read, most);
}
