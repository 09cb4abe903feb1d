use std::time::Duration;

use millstream_core::queue::Queue;

use super::{add, claim_all, events, ids, member, take};
use crate::sample::app;
use crate::suite::{ALL, PATIENCE, Place, up_to};

/// Names and pending entries of a group's consumers.
async fn known(queue: &impl Queue, group: &str) -> Vec<(String, u64)> {
    let consumers = queue.consumers(&events(), &app(group)).await.unwrap();
    assert!(consumers.iter().all(|consumer| consumer.idle < PATIENCE));
    consumers
        .iter()
        .map(|consumer| (consumer.name.as_str().into(), consumer.pending))
        .collect()
}

fn pairs<const N: usize>(expected: [(&str, u64); N]) -> Vec<(String, u64)> {
    expected
        .map(|(name, pending)| (name.into(), pending))
        .to_vec()
}

/// Each that was handed something is known, by name, with what it still holds; groups are apart.
pub async fn consumers_show_what_they_hold<P: Place<Handle: Queue>>() {
    let place = P::make().await;
    let queue = place.connect().await;
    assert_eq!(known(&queue, "hr").await, []);
    let added = ids(&add(&queue, 1..=6).await);
    assert_eq!(known(&queue, "hr").await, []);
    for (group, consumer, count) in [("hr", "b", 3), ("hr", "a", 2), ("billing", "a", 1)] {
        take(&queue, &member(group, consumer), up_to(count)).await;
    }
    assert_eq!(known(&queue, "hr").await, pairs([("a", 2), ("b", 3)]));
    assert_eq!(known(&queue, "billing").await, pairs([("a", 1)]));
    queue.ack(&events(), &app("hr"), &added[..4]).await.unwrap();
    assert_eq!(known(&queue, "hr").await, pairs([("a", 1), ("b", 0)]));
}

/// One that holds entries stays, and so do they; once they are acked, it goes.
pub async fn a_consumer_that_holds_entries_is_not_forgotten<P: Place<Handle: Queue>>() {
    let place = P::make().await;
    let queue = place.connect().await;
    let added = ids(&add(&queue, 1..=2).await);
    let (one, two) = (member("hr", "1"), member("hr", "2"));
    take(&queue, &one, up_to(1)).await;
    take(&queue, &two, up_to(1)).await;
    let events = events();
    let forget = || queue.forget_consumer(&events, &one);
    assert!(!forget().await.unwrap());
    assert_eq!(known(&queue, "hr").await, pairs([("1", 1), ("2", 1)]));
    queue.ack(&events, &one.group, &added[..1]).await.unwrap();
    assert!(forget().await.unwrap());
    assert!(!forget().await.unwrap(), "it is not there any more");
    assert_eq!(known(&queue, "hr").await, pairs([("2", 1)]));
}

/// Whose entries were claimed by another can be forgotten; the other keeps them.
pub async fn a_consumer_that_lost_its_entries_is_forgotten<P: Place<Handle: Queue>>() {
    let place = P::make().await;
    let queue = place.connect().await;
    let added = add(&queue, 1..=3).await;
    let (one, two) = (member("hr", "1"), member("hr", "2"));
    take(&queue, &one, ALL).await;
    let claimed = claim_all(&queue, &events(), &two, Duration::ZERO, ALL).await;
    assert_eq!(claimed.entries, added);
    assert!(queue.forget_consumer(&events(), &one).await.unwrap());
    assert_eq!(known(&queue, "hr").await, pairs([("2", 3)]));
    assert!(!queue.forget_consumer(&events(), &two).await.unwrap());
}

/// A consumer that comes back is known again.
pub async fn a_forgotten_consumer_comes_back<P: Place<Handle: Queue>>() {
    let place = P::make().await;
    let queue = place.connect().await;
    let added = add(&queue, 1..=2).await;
    let hr = member("hr", "1");
    take(&queue, &hr, up_to(1)).await;
    queue
        .ack(&events(), &hr.group, &ids(&added[..1]))
        .await
        .unwrap();
    assert!(queue.forget_consumer(&events(), &hr).await.unwrap());
    assert_eq!(known(&queue, "hr").await, []);
    assert_eq!(take(&queue, &hr, ALL).await, added[1..]);
    assert_eq!(known(&queue, "hr").await, pairs([("1", 1)]));
}

/// Neither a missing stream, nor a missing group, nor an unknown name is an error.
pub async fn forgetting_nobody_says_so<P: Place<Handle: Queue>>() {
    let place = P::make().await;
    let queue = place.connect().await;
    let (events, nobody) = (events(), member("hr", "nobody"));
    let forget = || queue.forget_consumer(&events, &nobody);
    assert!(!forget().await.unwrap());
    add(&queue, 1..=1).await;
    assert!(!forget().await.unwrap());
    take(&queue, &member("hr", "1"), ALL).await;
    assert!(!forget().await.unwrap());
    assert_eq!(known(&queue, "hr").await, pairs([("1", 1)]));
}
