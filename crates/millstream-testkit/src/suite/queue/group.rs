use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use millstream_core::entry::EntryId;
use millstream_core::log::ReadLimit;
use millstream_core::queue::{Group, Queue};

use super::{add, events, ids, member, take};
use crate::sample::{app, fields, instance, sized_entry};
use crate::suite::{ALL, PATIENCE, PROMPT, Place, median, up_to};

/// What one group was handed, another still gets; neither gets it twice.
pub async fn each_group_gets_each_entry_once<P: Place<Handle: Queue>>() {
    let place = P::make().await;
    let queue = place.connect().await;
    let mut added = add(&queue, 1..=3).await;
    for group in ["hr", "billing"] {
        assert_eq!(take(&queue, &member(group, "1"), ALL).await, added);
        assert_eq!(take(&queue, &member(group, "1"), ALL).await, []);
    }
    added = add(&queue, 4..=5).await;
    for group in ["hr", "billing"] {
        assert_eq!(take(&queue, &member(group, "1"), ALL).await, added);
    }
}

/// Of two members of a group each gets what the other did not.
pub async fn members_share_a_group<P: Place<Handle: Queue>>() {
    let place = P::make().await;
    let (queue, other) = (place.connect().await, place.connect().await);
    let added = add(&queue, 1..=4).await;
    assert_eq!(take(&queue, &member("hr", "1"), up_to(2)).await, added[..2]);
    assert_eq!(
        take(&other, &member("hr", "2"), up_to(1)).await,
        added[2..3]
    );
    assert_eq!(take(&queue, &member("hr", "1"), up_to(2)).await, added[3..]);
}

/// A group that nobody has made begins at the first entry, and exists from its first read on.
pub async fn a_new_group_begins_at_the_first_entry<P: Place<Handle: Queue>>() {
    let place = P::make().await;
    let queue = place.connect().await;
    assert_eq!(queue.groups(&events()).await.unwrap(), []);
    assert_eq!(take(&queue, &member("hr", "1"), ALL).await, []);
    let empty = Group {
        name: app("hr"),
        last_delivered: EntryId::ZERO,
        pending: 0,
        lag: 0,
    };
    assert_eq!(queue.groups(&events()).await.unwrap(), [empty]);
    let added = add(&queue, 1..=2).await;
    assert_eq!(take(&queue, &member("billing", "1"), ALL).await, added);
    assert_eq!(take(&queue, &member("hr", "1"), ALL).await, added);
}

/// Only what comes is handed out, whichever limit ends the read.
pub async fn a_group_read_is_limited<P: Place<Handle: Queue>>() {
    let place = P::make().await;
    let queue = place.connect().await;
    let mut added = Vec::new();
    for seq in 1..=6 {
        let fields = sized_entry(seq, 100).fields;
        added.push(queue.add(&events(), &fields).await.unwrap());
    }
    let hr = member("hr", "1");
    let bytes = |bytes| ReadLimit { bytes, ..ALL };
    let mut handed_out = Vec::new();
    for (limit, count) in [
        (up_to(1), 1),
        (bytes(0), 1),
        (bytes(150), 2),
        (ALL, 2),
        (ALL, 0),
    ] {
        let read = ids(&take(&queue, &hr, limit).await);
        assert_eq!(read.len(), count, "{limit:?}");
        handed_out.extend(read);
        let pending = queue
            .pending(&events(), &hr.group, EntryId::ZERO, 100)
            .await
            .unwrap();
        assert_eq!(pending.iter().map(|p| p.id).collect::<Vec<_>>(), handed_out);
    }
    assert_eq!(handed_out, added);
}

/// A member that waits has an entry within milliseconds when the same handle adds it.
pub async fn a_member_wakes_at_once<P: Place<Handle: Queue>>() {
    let place = P::make().await;
    let queue = Arc::new(place.connect().await);
    let typical = latency(Arc::clone(&queue), queue).await;
    assert!(
        typical < Duration::from_millis(100),
        "typically {typical:?}"
    );
}

/// A member that waits has an entry soon when another process adds it.
pub async fn a_member_wakes_for_another_process<P: Place<Handle: Queue>>() {
    let place = P::make().await;
    let (reader, writer) = (place.connect().await, place.connect().await);
    let typical = latency(Arc::new(reader), Arc::new(writer)).await;
    assert!(typical < PROMPT / 4, "typically {typical:?}");
}

async fn latency<Q: Queue + 'static>(reader: Arc<Q>, writer: Arc<Q>) -> Duration {
    const ROUNDS: u64 = 15;

    let (seen, mut arrivals) = mpsc::channel(1);
    let reading = tokio::spawn(async move {
        let hr = member("hr", "1");
        for number in 1..=ROUNDS {
            let read = reader
                .read_group(&events(), &hr, ALL, PATIENCE)
                .await
                .unwrap();
            assert_eq!(read[0].fields, fields(number));
            seen.send(Instant::now()).await.unwrap();
        }
    });
    let mut times = Vec::new();
    for number in 1..=ROUNDS {
        let start = Instant::now();
        add(&*writer, number..=number).await;
        times.push(arrivals.recv().await.expect("the reader goes on") - start);
    }
    reading.await.unwrap();
    median(times)
}

/// Members of two processes read at once while entries come in: each entry goes to one of them.
pub async fn rival_members_never_share_an_entry<P: Place<Handle: Queue>>() {
    const ENTRIES: u64 = 60;

    let place = P::make().await;
    let (seen, mut arrivals) = mpsc::channel(1_024);
    let mut members = Vec::new();
    for consumer in ["1", "2"] {
        let (queue, seen) = (place.connect().await, seen.clone());
        members.push(tokio::spawn(async move {
            let me = member("hr", consumer);
            loop {
                let read = queue
                    .read_group(&events(), &me, up_to(3), PATIENCE)
                    .await
                    .unwrap();
                for entry in read {
                    seen.send(entry.id).await.unwrap();
                }
            }
        }));
    }
    let queue = place.connect().await;
    let added = ids(&add(&queue, 1..=ENTRIES).await);
    let mut got = Vec::new();
    while got.len() < added.len() {
        got.push(arrivals.recv().await.expect("members are there"));
    }
    got.sort();
    assert_eq!(got, added);
    members.iter().for_each(|member| member.abort());
}

/// Pending entries say who holds them and how often they were handed out, in order, in pages.
pub async fn what_was_handed_out_is_pending<P: Place<Handle: Queue>>() {
    let place = P::make().await;
    let queue = place.connect().await;
    let hr = app("hr");
    assert_eq!(
        queue
            .pending(&events(), &hr, EntryId::ZERO, 10)
            .await
            .unwrap(),
        []
    );
    let added = ids(&add(&queue, 1..=5).await);
    take(&queue, &member("hr", "1"), up_to(3)).await;
    take(&queue, &member("hr", "2"), up_to(1)).await;
    let page = queue
        .pending(&events(), &hr, EntryId::ZERO, 10)
        .await
        .unwrap();
    let held: Vec<_> = page
        .iter()
        .map(|p| (p.id, p.consumer.clone(), p.delivery_count))
        .collect();
    let (one, two) = (instance("1"), instance("2"));
    let expected = [
        (added[0], &one),
        (added[1], &one),
        (added[2], &one),
        (added[3], &two),
    ];
    assert_eq!(
        held,
        expected.map(|(id, consumer)| (id, consumer.clone(), 1))
    );
    assert!(page.iter().all(|p| p.idle < PATIENCE), "{page:?}");

    let next = queue.pending(&events(), &hr, added[0], 2).await.unwrap();
    assert_eq!(next.iter().map(|p| p.id).collect::<Vec<_>>(), added[1..3]);
}

/// Acked is acked: whoever held it, for this group only, and once.
pub async fn an_ack_counts_once<P: Place<Handle: Queue>>() {
    let place = P::make().await;
    let queue = place.connect().await;
    let added = ids(&add(&queue, 1..=4).await);
    let (hr, billing) = (app("hr"), app("billing"));
    assert_eq!(
        queue.ack(&events(), &hr, &added).await.unwrap(),
        0,
        "nothing is handed out"
    );
    take(&queue, &member("hr", "1"), up_to(1)).await;
    take(&queue, &member("hr", "2"), up_to(2)).await;
    take(&queue, &member("billing", "1"), ALL).await;
    assert_eq!(queue.ack(&events(), &hr, &[]).await.unwrap(), 0);
    assert_eq!(queue.ack(&events(), &hr, &added[..2]).await.unwrap(), 2);
    assert_eq!(queue.ack(&events(), &hr, &added[..2]).await.unwrap(), 0);
    assert_eq!(
        queue.ack(&events(), &hr, &added).await.unwrap(),
        1,
        "the fourth is not pending"
    );
    assert_eq!(
        queue
            .pending(&events(), &hr, EntryId::ZERO, 10)
            .await
            .unwrap(),
        []
    );
    let left = queue
        .pending(&events(), &billing, EntryId::ZERO, 10)
        .await
        .unwrap();
    assert_eq!(left.len(), 4);
    // An ack does not bring anything back either.
    assert_eq!(
        ids(&take(&queue, &member("hr", "1"), ALL).await),
        added[3..]
    );
}

/// A group shows what it was handed, what it has not acked, and what is still to come.
pub async fn groups_show_their_lag<P: Place<Handle: Queue>>() {
    let place = P::make().await;
    let queue = place.connect().await;
    let added = ids(&add(&queue, 1..=5).await);
    take(&queue, &member("hr", "1"), up_to(3)).await;
    take(&queue, &member("billing", "1"), ALL).await;
    queue.ack(&events(), &app("hr"), &added[..1]).await.unwrap();
    let mut groups = queue.groups(&events()).await.unwrap();
    groups.sort_by(|a, b| a.name.cmp(&b.name));
    let expected = [
        Group {
            name: app("billing"),
            last_delivered: added[4],
            pending: 5,
            lag: 0,
        },
        Group {
            name: app("hr"),
            last_delivered: added[2],
            pending: 2,
            lag: 2,
        },
    ];
    assert_eq!(groups, expected);
}
