use std::time::Instant;

use bytes::Bytes;

use millstream_core::entry::{Entry, EntryId, Fields};
use millstream_core::limits::ACKNOWLEDGMENTS_MAX;
use millstream_core::log::Log;

use super::ids;
use crate::sample::{app, fields};
use crate::suite::{PROMPT, Place};

fn fields_of(messages: &[Entry]) -> Vec<Fields> {
    messages.iter().map(|entry| entry.fields.clone()).collect()
}

/// Messages come to their owner in order, page by page, whoever left them.
pub async fn messages_come_in_order<P: Place<Handle: Log>>() {
    let place = P::make().await;
    let (log, other) = (place.connect().await, place.connect().await);
    let crm = app("crm");
    for seq in 1..=5 {
        let from = if seq % 2 == 0 { &log } else { &other };
        from.acknowledge(&crm, &fields(seq)).await.unwrap();
    }
    let read = |after, count| log.acknowledgments(&crm, after, count);
    let all = read(EntryId::ZERO, 100).await.unwrap();
    assert_eq!(fields_of(&all), (1..=5).map(fields).collect::<Vec<_>>());
    assert!(ids(&all).is_sorted_by(|a, b| a < b), "{:?}", ids(&all));
    for (after, count, expected) in [
        (EntryId::ZERO, 0, &all[..0]),
        (EntryId::ZERO, 2, &all[..2]),
        (all[1].id, 2, &all[2..4]),
        (all[3].id, 2, &all[4..]),
    ] {
        assert_eq!(read(after, count).await.unwrap(), expected, "after {after}");
    }
}

/// Each owner has messages of its own.
pub async fn messages_are_apart<P: Place<Handle: Log>>() {
    let place = P::make().await;
    let log = place.connect().await;
    for (owner, seq) in [("crm", 1), ("hr", 2), ("crm", 3)] {
        log.acknowledge(&app(owner), &fields(seq)).await.unwrap();
    }
    for (owner, expected) in [
        ("crm", vec![fields(1), fields(3)]),
        ("hr", vec![fields(2)]),
        ("billing", vec![]),
    ] {
        let read = log
            .acknowledgments(&app(owner), EntryId::ZERO, 10)
            .await
            .unwrap();
        assert_eq!(fields_of(&read), expected, "{owner}");
    }
}

/// Asking for more does not wait for it.
pub async fn no_message_is_no_reason_to_wait<P: Place<Handle: Log>>() {
    let place = P::make().await;
    let log = place.connect().await;
    log.acknowledge(&app("crm"), &fields(1)).await.unwrap();
    let first = log
        .acknowledgments(&app("crm"), EntryId::ZERO, 10)
        .await
        .unwrap();
    let start = Instant::now();
    let more = log
        .acknowledgments(&app("crm"), first[0].id, 10)
        .await
        .unwrap();
    assert_eq!(more, []);
    assert!(start.elapsed() < PROMPT);
}

/// Whoever has read further than there is, in what a transport lost, is given all that there is.
pub async fn messages_after_a_loss_come_from_the_first<P: Place<Handle: Log>>() {
    let place = P::make().await;
    let log = place.connect().await;
    let far = EntryId::new(u64::MAX, 7);
    let read = |count| {
        let log = &log;
        async move { log.acknowledgments(&app("crm"), far, count).await.unwrap() }
    };
    assert_eq!(read(10).await, []);
    for seq in 1..=3 {
        log.acknowledge(&app("crm"), &fields(seq)).await.unwrap();
    }
    assert_eq!(
        fields_of(&read(10).await),
        [fields(1), fields(2), fields(3)]
    );
    assert_eq!(fields_of(&read(2).await), [fields(1), fields(2)]);
}

/// Names and values of a message are bytes.
pub async fn any_message_comes_back<P: Place<Handle: Log>>() {
    let place = P::make().await;
    let log = place.connect().await;
    let binary: Fields = [
        (Bytes::from_static(b"\x00\xff"), Bytes::from_static(b"\r\n")),
        (Bytes::from("twice"), Bytes::from("1")),
        (Bytes::from("twice"), Bytes::new()),
    ]
    .into_iter()
    .collect();
    log.acknowledge(&app("crm"), &binary).await.unwrap();
    let read = log
        .acknowledgments(&app("crm"), EntryId::ZERO, 10)
        .await
        .unwrap();
    assert_eq!(fields_of(&read), [binary]);
}

/// About [`ACKNOWLEDGMENTS_MAX`] messages are kept, the last ones.
pub async fn the_last_messages_are_kept<P: Place<Handle: Log>>() {
    const ADDED: usize = ACKNOWLEDGMENTS_MAX / 5 * 6;

    let place = P::make().await;
    let log = place.connect().await;
    let crm = app("crm");
    for seq in 1..=ADDED as u64 {
        log.acknowledge(&crm, &fields(seq)).await.unwrap();
    }
    let kept = log
        .acknowledgments(&crm, EntryId::ZERO, 2 * ADDED)
        .await
        .unwrap();
    let about = ACKNOWLEDGMENTS_MAX..=ACKNOWLEDGMENTS_MAX / 10 * 11;
    assert!(about.contains(&kept.len()), "{} are kept", kept.len());
    let first = (ADDED - kept.len()) as u64 + 1;
    let expected = (first..=ADDED as u64).map(fields);
    assert!(fields_of(&kept).into_iter().eq(expected), "others are kept");
}
