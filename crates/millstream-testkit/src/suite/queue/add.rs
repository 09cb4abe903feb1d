use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use millstream_core::entry::{EntryId, Fields};
use millstream_core::error::ErrorKind;
use millstream_core::limits::ENTRY_FIELDS_MAX;
use millstream_core::log::{Description, Log, ReadLimit};
use millstream_core::queue::Queue;

use super::{add, events, ids};
use crate::sample::{app, entries, fields, sized_entry};
use crate::suite::{ALL, Place, up_to};

/// Each id is above all earlier ones, within one millisecond too.
pub async fn added_ids_rise<P: Place<Handle: Queue>>() {
    let place = P::make().await;
    let queue = place.connect().await;
    assert_eq!(
        queue.describe_shared(&events()).await.unwrap(),
        Description::default()
    );
    let added = ids(&add(&queue, 1..=50).await);
    assert!(added.is_sorted_by(|a, b| a < b), "{added:?}");
    let expected = Description {
        length: 50,
        added: 50,
        first: Some(added[0]),
        last: added[49],
    };
    assert_eq!(queue.describe_shared(&events()).await.unwrap(), expected);
}

/// Two processes that add at once get ids of their own, each in its order.
pub async fn ids_of_several_adders_rise<P: Place<Handle: Queue>>() {
    let place = P::make().await;
    let mut adders = Vec::new();
    for _ in 0..2 {
        let queue = place.connect().await;
        adders.push(tokio::spawn(async move { ids(&add(&queue, 1..=40).await) }));
    }
    let mut all = Vec::new();
    for adder in adders {
        let added = adder.await.unwrap();
        assert!(added.is_sorted_by(|a, b| a < b), "{added:?}");
        all.extend(added);
    }
    all.sort();
    let queue = place.connect().await;
    assert_eq!(
        ids(&queue.range(&events(), EntryId::ZERO, ALL).await.unwrap()),
        all
    );
}

/// Byte for byte, whatever the fields hold.
pub async fn an_added_entry_comes_back<P: Place<Handle: Queue>>() {
    let place = P::make().await;
    let queue = place.connect().await;
    let binary: Fields = [
        (
            Bytes::from_static(b"\x00\xff"),
            Bytes::from((0..=255).collect::<Vec<u8>>()),
        ),
        (Bytes::new(), Bytes::new()),
        (Bytes::from("twice"), Bytes::from("1")),
        (Bytes::from("twice"), Bytes::from("2")),
    ]
    .into_iter()
    .collect();
    let id = queue.add(&events(), &binary).await.unwrap();
    let read = queue.range(&events(), EntryId::ZERO, ALL).await.unwrap();
    assert_eq!(read.len(), 1);
    assert_eq!((read[0].id, &read[0].fields), (id, &binary));
}

/// An entry has from one to [`ENTRY_FIELDS_MAX`] fields.
pub async fn an_added_entry_has_some_fields<P: Place<Handle: Queue>>() {
    let place = P::make().await;
    let queue = place.connect().await;
    for count in [0, ENTRY_FIELDS_MAX + 1] {
        let fields = (0..count).map(|_| (Bytes::from("f"), Bytes::from("v")));
        let error = queue.add(&events(), &fields.collect()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{count}: {error}");
    }
    assert_eq!(queue.describe_shared(&events()).await.unwrap().added, 0);
}

/// A range obeys both limits, and its first entry always comes.
pub async fn a_range_is_limited<P: Place<Handle: Queue>>() {
    let place = P::make().await;
    let queue = place.connect().await;
    let mut added = Vec::new();
    for seq in 1..=5 {
        let fields = sized_entry(seq, 100).fields;
        added.push(queue.add(&events(), &fields).await.unwrap());
    }
    let bytes = |bytes| ReadLimit { bytes, ..ALL };
    for (after, limit, expected) in [
        (EntryId::ZERO, up_to(2), &added[..2]),
        (added[1], up_to(2), &added[2..4]),
        (added[3], up_to(2), &added[4..]),
        (EntryId::ZERO, bytes(0), &added[..1]),
        (EntryId::ZERO, bytes(250), &added[..3]),
        (added[4], ALL, &[]),
    ] {
        let read = queue.range(&events(), after, limit).await.unwrap();
        assert_eq!(ids(&read), expected, "after {after}, {limit:?}");
    }
}

/// A shared stream and the shards of an owned one may have the same name.
pub async fn a_shared_stream_and_a_shard_are_apart<P: Place<Handle: Queue + Log>>() {
    let place = P::make().await;
    let both = Arc::new(place.connect().await);
    let shard = millstream_core::entry::Shard {
        stream: events(),
        owner: app("crm"),
        number: 0,
    };
    both.append(&shard, EntryId::ZERO, &entries(1..=2))
        .await
        .unwrap();
    both.add(&events(), &fields(9)).await.unwrap();
    let shared = both.range(&events(), EntryId::ZERO, ALL).await.unwrap();
    assert_eq!(shared[0].fields, fields(9));
    assert_eq!(shared.len(), 1);
    let owned = both
        .read(&shard, EntryId::ZERO, ALL, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(owned, entries(1..=2));
}
