use std::time::Duration;

use millstream_core::entry::EntryId;
use millstream_core::log::ReadLimit;
use millstream_core::queue::{Claimed, Queue};

use super::{add, claim_all, events, ids, member, take};
use crate::sample::{app, instance, sized_entry};
use crate::suite::{ALL, Place, up_to};

/// Longer than the test lasts.
const LONG: Duration = Duration::from_secs(3_600);

/// Claimed entries change hands, count one more delivery, and are no longer idle; a member's own
/// are claimed like any others.
pub async fn a_claim_takes_over<P: Place<Handle: Queue>>() {
    let place = P::make().await;
    let queue = place.connect().await;
    let added = add(&queue, 1..=3).await;
    take(&queue, &member("hr", "1"), up_to(2)).await;
    take(&queue, &member("hr", "2"), ALL).await;
    let claimed = claim_all(&queue, &events(), &member("hr", "2"), Duration::ZERO, ALL).await;
    assert_eq!(
        claimed,
        Claimed {
            entries: added.clone(),
            ..Claimed::default()
        }
    );
    let pending = queue
        .pending(&events(), &app("hr"), EntryId::ZERO, 10)
        .await
        .unwrap();
    assert_eq!(
        pending.iter().map(|p| p.id).collect::<Vec<_>>(),
        ids(&added)
    );
    assert!(
        pending
            .iter()
            .all(|p| p.consumer == instance("2") && p.delivery_count == 2)
    );
    assert_eq!(
        take(&queue, &member("hr", "1"), ALL).await,
        [],
        "claimed is not handed out"
    );
}

/// What was handed out a moment ago stays where it is.
pub async fn a_claim_leaves_what_is_not_idle<P: Place<Handle: Queue>>() {
    let place = P::make().await;
    let queue = place.connect().await;
    add(&queue, 1..=3).await;
    take(&queue, &member("hr", "1"), ALL).await;
    let claimed = claim_all(&queue, &events(), &member("hr", "2"), LONG, ALL).await;
    assert_eq!(claimed, Claimed::default());
    let pending = queue
        .pending(&events(), &app("hr"), EntryId::ZERO, 10)
        .await
        .unwrap();
    assert!(
        pending
            .iter()
            .all(|p| p.consumer == instance("1") && p.delivery_count == 1)
    );
}

/// Page after page brings everything once, and begins above the id that is given.
pub async fn a_claim_goes_on_from_its_cursor<P: Place<Handle: Queue>>() {
    let place = P::make().await;
    let queue = place.connect().await;
    let added = add(&queue, 1..=7).await;
    take(&queue, &member("hr", "1"), ALL).await;
    let two = member("hr", "2");
    let claimed = claim_all(&queue, &events(), &two, Duration::ZERO, up_to(2)).await;
    assert_eq!(claimed.entries, added);
    let rest = queue
        .claim(&events(), &two, Duration::ZERO, added[4].id, ALL)
        .await
        .unwrap();
    assert_eq!(rest.entries, added[5..]);
    assert_eq!(rest.next, None);
}

/// Only what the limit lets through is taken over, and the first entry always comes.
pub async fn a_claim_is_limited_by_bytes<P: Place<Handle: Queue>>() {
    let place = P::make().await;
    let queue = place.connect().await;
    let mut added = Vec::new();
    for seq in 1..=4 {
        let fields = sized_entry(seq, 100).fields;
        added.push(queue.add(&events(), &fields).await.unwrap());
    }
    take(&queue, &member("hr", "1"), ALL).await;
    let limit = ReadLimit { bytes: 150, ..ALL };
    let two = member("hr", "2");
    let page = queue
        .claim(&events(), &two, Duration::ZERO, EntryId::ZERO, limit)
        .await
        .unwrap();
    assert_eq!(ids(&page.entries), added[..2]);
    let next = page.next.expect("two more are to come");
    let pending = queue
        .pending(&events(), &two.group, EntryId::ZERO, 10)
        .await
        .unwrap();
    let held: Vec<_> = pending.iter().map(|p| p.consumer.as_str()).collect();
    assert_eq!(held, ["2", "2", "1", "1"]);
    let tiny = ReadLimit { bytes: 0, ..ALL };
    let page = queue
        .claim(&events(), &two, Duration::ZERO, next, tiny)
        .await
        .unwrap();
    assert_eq!(ids(&page.entries), added[2..3]);
}

/// A member that went away without a word loses nothing: another claims, acks, and goes on.
pub async fn a_member_claims_what_a_crashed_one_held<P: Place<Handle: Queue>>() {
    let place = P::make().await;
    let queue = place.connect().await;
    let added = add(&queue, 1..=4).await;
    let crashed = place.connect().await;
    take(&crashed, &member("hr", "1"), up_to(3)).await;
    drop(crashed);

    let two = member("hr", "2");
    let claimed = claim_all(&queue, &events(), &two, Duration::ZERO, ALL).await;
    assert_eq!(claimed.entries, added[..3]);
    let acked = queue
        .ack(&events(), &two.group, &ids(&claimed.entries))
        .await
        .unwrap();
    assert_eq!(acked, 3);
    assert_eq!(take(&queue, &two, ALL).await, added[3..]);
}

/// Neither a missing stream nor a missing group is an error; what was acked is not claimed.
pub async fn a_claim_of_nothing_is_empty<P: Place<Handle: Queue>>() {
    let place = P::make().await;
    let queue = place.connect().await;
    let (events, hr) = (events(), member("hr", "1"));
    let claim = || queue.claim(&events, &hr, Duration::ZERO, EntryId::ZERO, ALL);
    assert_eq!(claim().await.unwrap(), Claimed::default());
    let added = ids(&add(&queue, 1..=2).await);
    assert_eq!(claim().await.unwrap(), Claimed::default());
    take(&queue, &hr, ALL).await;
    queue.ack(&events, &hr.group, &added).await.unwrap();
    assert_eq!(claim().await.unwrap(), Claimed::default());
}
