use millstream_core::acknowledgment::Exception;
use millstream_core::delivery::Outcome;
use millstream_core::entry::EntryId;
use millstream_core::error::ErrorKind;
use millstream_core::lease::Checkpoint;
use millstream_core::name::EventId;
use millstream_core::outbox::{Outbox, Progress, Registered};

use super::{registered, tops, tops_of};
use crate::sample::{app, database, stream};
use crate::suite::Site;

fn exception(seq: u64, outcome: Outcome, reason: &str) -> Exception {
    Exception {
        at: EntryId::new(1, seq),
        outcome,
        attempts: u32::try_from(seq).unwrap(),
        reason: reason.into(),
    }
}

/// One that is somewhere in the middle, differently on each shard.
fn on_its_way(name: &str) -> Registered {
    let mut subscriber = registered(name);
    subscriber.shards[0] = Progress {
        base: EntryId::new(1, 2),
        settled: Checkpoint {
            at: EntryId::new(1, 9),
            event_id: EventId::new("Ünï 'id' ").ok(),
        },
        exceptions: vec![
            exception(3, Outcome::Retrying, "column \"name\" takes text"),
            exception(7, Outcome::Blocked, "waits; DROP TABLE outbox"),
            exception(8, Outcome::Dead, ""),
        ],
        omitted: 12,
    };
    subscriber.shards[2].settled.at = EntryId::new(1, 4);
    subscriber
}

/// With everything that is known of it, by name, on its own stream, for every process.
pub async fn a_subscriber_is_there_as_it_registered<S: Site>() {
    let site = S::make("").await;
    let outbox = site.connect().await;
    let (events, other) = (stream("events"), stream("other"));
    let (held, others) = (tops(&outbox).await, tops_of(&outbox, &other).await);
    assert_eq!(outbox.subscribers(&events).await.unwrap(), []);

    outbox.subscribe(&held, &on_its_way("crm")).await.unwrap();
    outbox.subscribe(&held, &registered("Crm")).await.unwrap();
    let elsewhere = registered("crm");
    outbox.subscribe(&others, &elsewhere).await.unwrap();
    let process = site.connect().await;
    let found = process.subscribers(&events).await.unwrap();
    assert_eq!(found, [registered("Crm"), on_its_way("crm")]);
    assert_eq!(process.subscribers(&other).await.unwrap(), [elsewhere]);
    assert_eq!(process.subscribers(&stream("no")).await.unwrap(), []);
}

/// Nothing of the one before is left, be it of the same database or of another.
pub async fn a_registration_replaces_the_one_before<S: Site>() {
    let site = S::make("").await;
    let outbox = site.connect().await;
    let held = tops(&outbox).await;
    let mut moved = registered("crm");
    moved.database = database("another");
    for registration in [on_its_way("crm"), moved, on_its_way("crm")] {
        outbox.subscribe(&held, &registration).await.unwrap();
        let found = outbox.subscribers(&stream("events")).await.unwrap();
        assert_eq!(found, [registration]);
    }
}

/// Of whoever is registered with that database, and no one else; where it began stays as it was.
pub async fn receipts_move_who_is_registered<S: Site>() {
    let site = S::make("").await;
    let outbox = site.connect().await;
    let events = stream("events");
    let held = tops(&outbox).await;
    let mut first = registered("crm");
    first.shards[1].base = EntryId::new(1, 1);
    outbox.subscribe(&held, &first).await.unwrap();
    outbox.subscribe(&held, &registered("pay")).await.unwrap();

    let mut moved = on_its_way("crm");
    moved.shards[1].base = EntryId::new(1, 5);
    let mut clone = on_its_way("pay");
    clone.database = database("a clone");
    let stranger = on_its_way("stranger");
    let changed = [clone, stranger, moved.clone()];
    outbox.record_receipts(&held, &changed).await.unwrap();
    for (shard, began) in moved.shards.iter_mut().zip(&first.shards) {
        shard.base = began.base;
    }
    let found = outbox.subscribers(&events).await.unwrap();
    assert_eq!(found, [moved.clone(), registered("pay")]);

    // The next one says all of it again: what it does not list is an exception no more.
    let progress = &mut moved.shards[0];
    progress.settled.at = EntryId::new(1, 11);
    progress.settled.event_id = None;
    progress.exceptions = vec![
        exception(7, Outcome::Dead, "now"),
        exception(11, Outcome::Dead, ""),
    ];
    progress.omitted = 0;
    outbox
        .record_receipts(&held, std::slice::from_ref(&moved))
        .await
        .unwrap();
    let found = outbox.subscribers(&events).await.unwrap();
    assert_eq!(found, [moved, registered("pay")]);
    outbox.record_receipts(&held, &[]).await.unwrap();
}

/// It holds nothing any more, and no late receipt brings it back.
pub async fn a_subscriber_is_removed<S: Site>() {
    let site = S::make("").await;
    let outbox = site.connect().await;
    let (events, other) = (stream("events"), stream("other"));
    let (held, others) = (tops(&outbox).await, tops_of(&outbox, &other).await);
    for (held, name) in [(&held, "crm"), (&held, "pay"), (&others, "crm")] {
        outbox.subscribe(held, &on_its_way(name)).await.unwrap();
    }
    let remove = |name: &str| {
        let (outbox, name) = (&outbox, app(name));
        async move { outbox.unsubscribe(&stream("events"), &name).await.unwrap() }
    };
    assert!(remove("crm").await);
    assert!(!remove("crm").await);
    assert!(!remove("nobody").await);
    let late = [on_its_way("crm")];
    outbox.record_receipts(&held, &late).await.unwrap();
    let found = outbox.subscribers(&events).await.unwrap();
    assert_eq!(found, [on_its_way("pay")]);
    let found = outbox.subscribers(&other).await.unwrap();
    assert_eq!(found, [on_its_way("crm")]);
    outbox.subscribe(&held, &registered("crm")).await.unwrap();
    let found = outbox.subscribers(&events).await.unwrap();
    assert_eq!(found, [registered("crm"), on_its_way("pay")]);
}

/// Whoever follows more or fewer shards than there are has misread something.
pub async fn a_subscriber_follows_every_shard<S: Site>() {
    let site = S::make("").await;
    let outbox = site.connect().await;
    let held = tops(&outbox).await;
    for shards in [0, 1, 4] {
        let mut wrong = registered("crm");
        wrong.shards.resize(shards, Progress::default());
        let refused = [
            outbox.subscribe(&held, &wrong).await,
            outbox
                .record_receipts(&held, std::slice::from_ref(&wrong))
                .await,
            outbox.subscribe(&[], &wrong).await,
        ];
        for result in refused {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Misconfigured, "{error}");
        }
    }
    let found = outbox.subscribers(&stream("events")).await.unwrap();
    assert_eq!(found, []);
}
