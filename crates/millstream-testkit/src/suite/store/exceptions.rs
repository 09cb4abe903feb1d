use millstream_core::delivery::Outcome;
use millstream_core::entry::EntryId;
use millstream_core::store::Store;

use super::{Consumer, Source, event, mappings, ready};
use crate::sample::shard;
use crate::suite::Site;

/// In the order of the stream, with what the publisher may know of them, and how many there are.
pub async fn what_is_parked_is_told_by_shard<S: Site>() {
    let (site, mut source, mut consumer) = ready::<S>().await;
    let none = consumer.store.exceptions(&shard(0), 10).await.unwrap();
    assert_eq!(none, (vec![], 0));

    let entries = source.send_all([
        &event("person.set", "acme", "7", r#"{"age":"hunter2"}"#),
        &event("person.set", "acme", "8", "{}"),
        &event("person.set", "acme", "7", "{}"),
        &event("person.renamed", "acme", "9", r#"{"name":"Ada"}"#),
    ]);
    consumer.settle(&entries).await;
    let mut other = Source::shard(1);
    let mut second = Consumer::start(site.connect().await, other.feed(), mappings()).await;
    let bad = other.send(&event("person.set", "acme", "6", r#"{"age":"old"}"#));
    second.settle(&[bad]).await;

    let (all, count) = consumer.store.exceptions(&shard(0), 10).await.unwrap();
    let found: Vec<_> = all
        .iter()
        .map(|exception| (exception.at, exception.outcome, exception.attempts))
        .collect();
    let expected = [
        (EntryId::new(1, 1), Outcome::Dead, 1),
        (EntryId::new(1, 3), Outcome::Blocked, 0),
        (EntryId::new(1, 4), Outcome::Retrying, 1),
    ];
    assert_eq!((found.as_slice(), count), (&expected[..], 3));
    assert!(all[0].reason.contains("people.age"), "{}", all[0].reason);
    assert!(!all[0].reason.contains("hunter2"), "{}", all[0].reason);

    let (earliest, count) = consumer.store.exceptions(&shard(0), 2).await.unwrap();
    assert_eq!((earliest.as_slice(), count), (&all[..2], 3));
    let (none, count) = consumer.store.exceptions(&shard(0), 0).await.unwrap();
    assert_eq!((none.len(), count), (0, 3));
    let (own, count) = consumer.store.exceptions(&shard(1), 10).await.unwrap();
    assert_eq!((own.len(), count), (1, 1));
    let nowhere = consumer.store.exceptions(&shard(9), 10).await.unwrap();
    assert_eq!(nowhere, (vec![], 0));
}
