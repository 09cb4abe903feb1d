use std::time::Duration;

use millstream_core::entry::EntryId;
use millstream_core::log::Description;
use millstream_core::queue::Queue;

use super::{add, claim_all, events, ids, member, take};
use crate::suite::{ALL, Place, up_to};

/// A pending entry that was removed is named once by a claim, and is pending no more.
pub async fn a_claim_names_what_is_gone<P: Place<Handle: Queue>>() {
    let place = P::make().await;
    let queue = place.connect().await;
    let added = add(&queue, 1..=5).await;
    take(&queue, &member("hr", "1"), up_to(4)).await;
    queue.trim_shared(&events(), added[2].id).await.unwrap();
    let two = member("hr", "2");
    let claimed = claim_all(&queue, &events(), &two, Duration::ZERO, up_to(1)).await;
    assert_eq!(claimed.gone, ids(&added[..2]));
    assert_eq!(claimed.entries, added[2..4]);
    let pending = queue
        .pending(&events(), &two.group, EntryId::ZERO, 10)
        .await
        .unwrap();
    assert_eq!(
        pending.iter().map(|p| p.id).collect::<Vec<_>>(),
        ids(&added[2..4])
    );
    let again = claim_all(&queue, &events(), &two, Duration::ZERO, ALL).await;
    assert_eq!(again.gone, []);
    let acked = queue
        .ack(&events(), &two.group, &ids(&added))
        .await
        .unwrap();
    assert_eq!(acked, 2);
}

/// The floor itself stays, and a group goes on with it.
pub async fn trimming_removes_what_is_below_the_floor<P: Place<Handle: Queue>>() {
    let place = P::make().await;
    let queue = place.connect().await;
    assert_eq!(
        queue
            .trim_shared(&events(), EntryId::new(5, 0))
            .await
            .unwrap(),
        0
    );
    let added = add(&queue, 1..=5).await;
    let hr = member("hr", "1");
    take(&queue, &hr, up_to(1)).await;
    assert_eq!(queue.trim_shared(&events(), added[3].id).await.unwrap(), 3);
    assert_eq!(queue.trim_shared(&events(), added[3].id).await.unwrap(), 0);
    assert_eq!(
        queue.range(&events(), EntryId::ZERO, ALL).await.unwrap(),
        added[3..]
    );
    let expected = Description {
        length: 2,
        added: 5,
        first: Some(added[3].id),
        last: added[4].id,
    };
    assert_eq!(queue.describe_shared(&events()).await.unwrap(), expected);
    assert_eq!(take(&queue, &hr, ALL).await, added[3..]);
}

/// With all entries gone the next id is still above the last.
pub async fn a_trimmed_stream_goes_on<P: Place<Handle: Queue>>() {
    let place = P::make().await;
    let queue = place.connect().await;
    let before = add(&queue, 1..=3).await;
    let floor = EntryId::new(before[2].id.high + 1, 0);
    assert_eq!(queue.trim_shared(&events(), floor).await.unwrap(), 3);
    assert_eq!(
        queue.range(&events(), EntryId::ZERO, ALL).await.unwrap(),
        []
    );
    assert_eq!(
        queue.describe_shared(&events()).await.unwrap().last,
        before[2].id
    );
    let after = add(&queue, 4..=4).await;
    assert!(after[0].id > before[2].id);
    assert_eq!(take(&queue, &member("hr", "1"), ALL).await, after);
}
