use millstream_core::entry::{Entry, EntryId};
use millstream_core::log::ReadLimit;
use millstream_core::queue::{Claimed, Member, Queue};

use super::{add, events, history_all, ids, member, take};
use crate::sample::{app, instance, sized_entry};
use crate::suite::{ALL, Place, up_to};

/// Who holds what, by the group `hr`.
async fn held(queue: &impl Queue) -> Vec<(EntryId, String)> {
    let pending = queue
        .pending(&events(), &app("hr"), EntryId::ZERO, 100)
        .await
        .unwrap();
    pending
        .iter()
        .map(|p| (p.id, p.consumer.as_str().into()))
        .collect()
}

fn only(entries: &[Entry]) -> Claimed {
    Claimed {
        entries: entries.to_vec(),
        ..Claimed::default()
    }
}

/// What a member was handed and has not acked, in order; nothing of others, and nothing changes
/// hands.
pub async fn a_history_is_the_member_s_own<P: Place<Handle: Queue>>() {
    let place = P::make().await;
    let queue = place.connect().await;
    let added = add(&queue, 1..=6).await;
    let (one, two) = (member("hr", "1"), member("hr", "2"));
    take(&queue, &one, up_to(2)).await;
    take(&queue, &two, up_to(1)).await;
    take(&queue, &one, up_to(1)).await;
    let before = held(&queue).await;
    let own = [added[0].clone(), added[1].clone(), added[3].clone()];
    let stream = events();
    let history = |member| history_all(&queue, &stream, member, ALL);
    assert_eq!(history(&one).await, only(&own));
    assert_eq!(history(&two).await, only(&added[2..3]));
    assert_eq!(held(&queue).await, before);
    queue
        .ack(&events(), &one.group, &ids(&own[1..2]))
        .await
        .unwrap();
    assert_eq!(history(&one).await, only(&[own[0].clone(), own[2].clone()]));
    assert_eq!(take(&queue, &one, ALL).await, added[4..]);
}

/// A read whose answer got lost left its entries here.
pub async fn a_history_brings_back_a_lost_answer<P: Place<Handle: Queue>>() {
    let place = P::make().await;
    let queue = place.connect().await;
    let added = add(&queue, 1..=3).await;
    let hr = member("hr", "1");
    take(&queue, &hr, ALL).await;
    drop(queue);
    let queue = place.connect().await;
    assert_eq!(take(&queue, &hr, ALL).await, []);
    assert_eq!(history_all(&queue, &events(), &hr, ALL).await, only(&added));
}

/// Page after page brings everything once, and begins above the id that is given.
pub async fn a_history_goes_on_from_its_cursor<P: Place<Handle: Queue>>() {
    let place = P::make().await;
    let queue = place.connect().await;
    let added = add(&queue, 1..=7).await;
    let hr = member("hr", "1");
    take(&queue, &hr, ALL).await;
    assert_eq!(
        history_all(&queue, &events(), &hr, up_to(2)).await,
        only(&added)
    );
    let rest = queue.history(&events(), &hr, added[4].id, ALL).await;
    assert_eq!(rest.unwrap(), only(&added[5..]));
}

/// The limit in bytes holds, and the first entry always comes.
pub async fn a_history_is_limited_by_bytes<P: Place<Handle: Queue>>() {
    let place = P::make().await;
    let queue = place.connect().await;
    let mut added = Vec::new();
    for seq in 1..=4 {
        let fields = sized_entry(seq, 100).fields;
        added.push(queue.add(&events(), &fields).await.unwrap());
    }
    let hr = member("hr", "1");
    take(&queue, &hr, ALL).await;
    for (bytes, count) in [(0, 1), (150, 2), (200, 2), (201, 3)] {
        let limit = ReadLimit { bytes, ..ALL };
        let page = queue.history(&events(), &hr, EntryId::ZERO, limit).await;
        let page = page.unwrap();
        assert_eq!(ids(&page.entries), added[..count], "{bytes} bytes");
        assert_eq!(page.next, Some(added[count - 1]), "{bytes} bytes");
    }
}

/// A pending entry that was removed is named once, and is pending no more.
pub async fn a_history_names_what_is_gone<P: Place<Handle: Queue>>() {
    let place = P::make().await;
    let queue = place.connect().await;
    let added = add(&queue, 1..=5).await;
    let (one, two) = (member("hr", "1"), member("hr", "2"));
    take(&queue, &two, up_to(1)).await;
    take(&queue, &one, ALL).await;
    queue.trim_shared(&events(), added[3].id).await.unwrap();
    let history = history_all(&queue, &events(), &one, up_to(1)).await;
    assert_eq!(history.gone, ids(&added[1..3]));
    assert_eq!(history.entries, added[3..]);
    assert_eq!(
        history_all(&queue, &events(), &one, ALL).await,
        only(&added[3..])
    );
    let left: Vec<_> = held(&queue).await;
    assert_eq!(
        left,
        [(0, "2"), (3, "1"), (4, "1")].map(|(number, by)| (added[number].id, by.to_string())),
        "what another holds is its own affair"
    );
}

/// Neither a missing stream, nor a missing group, nor a new member is an error.
pub async fn a_history_of_nothing_is_empty<P: Place<Handle: Queue>>() {
    let place = P::make().await;
    let queue = place.connect().await;
    let new = Member {
        consumer: instance("new"),
        ..member("hr", "1")
    };
    assert_eq!(
        history_all(&queue, &events(), &new, ALL).await,
        Claimed::default()
    );
    add(&queue, 1..=2).await;
    assert_eq!(
        history_all(&queue, &events(), &new, ALL).await,
        Claimed::default()
    );
    take(&queue, &member("hr", "1"), ALL).await;
    assert_eq!(
        history_all(&queue, &events(), &new, ALL).await,
        Claimed::default()
    );
}
