use millstream_core::acknowledgment::Exception;
use millstream_core::clock::Timestamp;
use millstream_core::delivery::Outcome;
use millstream_core::entry::EntryId;
use millstream_core::lease::Lease;
use millstream_core::outbox::{Outbox, Registered};

use super::{NOW, insert, number, registered, tops};
use crate::suite::Site;

/// An INSERT of an event with this id, for these applications.
fn addressed(id: &str, target: &str) -> String {
    insert("acme", "7", "{}")
        .replace("event_data)", "event_data, event_id, target_application)")
        .replace("'{}')", &format!("'{{}}', '{id}', '{target}')"))
}

/// Who of whom is how far: `event application status outcome attempts error`.
async fn tracked<S: Site>(site: &S) -> Vec<String> {
    let query = "SELECT event_id, application, status, outcome, attempts, error
                 FROM event_tracking ORDER BY event_id, application";
    site.rows(query).await
}

/// The same key again and again, so that all is on one shard: its number.
async fn number_all(outbox: &impl Outbox, held: &mut [Lease]) -> usize {
    usize::from(number(outbox, held, 99).await[0].shard)
}

/// An application that has settled that shard through this seq.
fn settled(name: &str, shard: usize, seq: u64) -> Registered {
    let mut subscriber = registered(name);
    subscriber.shards[shard].settled.at = EntryId::new(1, seq);
    subscriber
}

/// From the row that nobody follows to the receipt of the last subscriber.
pub async fn an_outgoing_event_is_tracked_by_subscriber<S: Site>() {
    let site = S::make("").await;
    let outbox = site.connect().await;
    let mut held = tops(&outbox).await;
    site.execute(&addressed("e1", "*")).await.unwrap();
    assert_eq!(tracked(&site).await, ["e1|*|pending|NULL|0|NULL"]);

    for name in ["crm", "pay"] {
        outbox.subscribe(&held, &registered(name)).await.unwrap();
    }
    let pending = ["e1|crm|pending|NULL|0|NULL", "e1|pay|pending|NULL|0|NULL"];
    assert_eq!(tracked(&site).await, pending, "not numbered yet");
    let shard = number_all(&outbox, &mut held).await;
    assert_eq!(tracked(&site).await, pending, "not settled yet");
    site.execute(&addressed("e2", "*")).await.unwrap();
    number_all(&outbox, &mut held).await;

    let changed = [settled("crm", shard, 2), settled("pay", shard, 1)];
    outbox.record_receipts(&held, &changed).await.unwrap();
    let expected = [
        "e1|crm|processed|NULL|1|NULL",
        "e1|pay|processed|NULL|1|NULL",
        "e2|crm|processed|NULL|1|NULL",
        "e2|pay|pending|NULL|0|NULL",
    ];
    assert_eq!(tracked(&site).await, expected);
    let whole = "SELECT stream, event_type, tenant_id, entity_id, source_application,
                        target_application, received_at, applied_at
                 FROM event_tracking WHERE published_at IS NOT NULL";
    let found = site.rows(whole).await;
    assert_eq!(found, ["events|user.updated|acme|7|hr|*|NULL|NULL"; 4]);
}

/// In the words of the subscriber's receipt, until a later one says otherwise.
pub async fn exceptions_of_outgoing_events_are_tracked<S: Site>() {
    let site = S::make("").await;
    let outbox = site.connect().await;
    let mut held = tops(&outbox).await;
    for id in ["e1", "e2", "e3", "e4"] {
        site.execute(&addressed(id, "*")).await.unwrap();
    }
    let shard = number_all(&outbox, &mut held).await;
    let mut crm = settled("crm", shard, 4);
    let of = |seq, outcome, attempts| Exception {
        at: EntryId::new(1, seq),
        outcome,
        attempts,
        reason: format!("no {seq}"),
    };
    crm.shards[shard].exceptions = vec![
        of(1, Outcome::Dead, 3),
        of(2, Outcome::Blocked, 0),
        of(4, Outcome::Retrying, 2),
    ];
    outbox.subscribe(&held, &crm).await.unwrap();
    let expected = [
        "e1|crm|failed|dead|3|no 1",
        "e2|crm|pending|blocked|0|no 2",
        "e3|crm|processed|NULL|1|NULL",
        "e4|crm|pending|retrying|2|no 4",
    ];
    assert_eq!(tracked(&site).await, expected);

    crm.shards[shard].exceptions.truncate(1);
    let changed = std::slice::from_ref(&crm);
    outbox.record_receipts(&held, changed).await.unwrap();
    let mut expected = expected;
    expected[1] = "e2|crm|processed|NULL|1|NULL";
    expected[3] = "e4|crm|processed|NULL|1|NULL";
    assert_eq!(tracked(&site).await, expected);
}

/// Nothing passes for processed only because a receipt has no room for it.
pub async fn what_a_receipt_leaves_out_is_not_processed<S: Site>() {
    let site = S::make("").await;
    let outbox = site.connect().await;
    let mut held = tops(&outbox).await;
    for id in ["e1", "e2", "e3", "e4"] {
        site.execute(&addressed(id, "*")).await.unwrap();
    }
    let shard = number_all(&outbox, &mut held).await;
    let mut crm = settled("crm", shard, 3);
    crm.shards[shard].omitted = 2;
    outbox.subscribe(&held, &crm).await.unwrap();
    let left_out = "perhaps one of 2 exceptions that the receipt leaves out";
    let perhaps = |id: &str| format!("{id}|crm|pending|NULL|0|{left_out}");
    let mut expected = ["e1", "e2", "e3"].map(perhaps).to_vec();
    expected.push("e4|crm|pending|NULL|0|NULL".into());
    assert_eq!(tracked(&site).await, expected);

    crm.shards[shard].exceptions = vec![Exception {
        at: EntryId::new(1, 2),
        outcome: Outcome::Dead,
        attempts: 1,
        reason: "no".into(),
    }];
    let changed = std::slice::from_ref(&crm);
    outbox.record_receipts(&held, changed).await.unwrap();
    expected[0] = "e1|crm|processed|NULL|1|NULL".into();
    expected[1] = "e2|crm|failed|dead|1|no".into();
    assert_eq!(tracked(&site).await, expected);
}

/// Those that it names, or all; never the publisher, nor a part of a name, nor one that began later.
pub async fn an_outgoing_event_counts_for_whom_it_is_for<S: Site>() {
    let site = S::make("").await;
    let outbox = site.connect().await;
    let mut held = tops(&outbox).await;
    for (id, target) in [
        ("e1", "*"),
        ("e2", "crm"),
        ("e3", "pay,crm,other"),
        ("e4", "crm,*"),
        ("e5", "rm"),
        ("e6", "hr"),
        ("e7", "CRM"),
    ] {
        site.execute(&addressed(id, target)).await.unwrap();
    }
    let shard = number_all(&outbox, &mut held).await;
    let mut late = settled("pay", shard, 3);
    late.shards[shard].base = EntryId::new(1, 3);
    for subscriber in [settled("crm", shard, 2), late, settled("hr", shard, 9)] {
        outbox.subscribe(&held, &subscriber).await.unwrap();
    }
    let expected = [
        "e1|crm|processed|NULL|1|NULL",
        "e2|crm|processed|NULL|1|NULL",
        "e3|crm|pending|NULL|0|NULL",
        "e4|crm|pending|NULL|0|NULL",
        "e4|pay|pending|NULL|0|NULL",
        "e5|rm|pending|NULL|0|NULL",
        "e6|hr|pending|NULL|0|NULL",
        "e7|CRM|pending|NULL|0|NULL",
    ];
    assert_eq!(tracked(&site).await, expected);

    // Before they have numbers the same applications count, but for the base: a number is above it.
    for (id, target) in [("f1", "pay,crm"), ("f2", "hr"), ("f3", "*")] {
        site.execute(&addressed(id, target)).await.unwrap();
    }
    let expected = [
        "f1|crm|pending|NULL|0|NULL",
        "f1|pay|pending|NULL|0|NULL",
        "f2|hr|pending|NULL|0|NULL",
        "f3|crm|pending|NULL|0|NULL",
        "f3|pay|pending|NULL|0|NULL",
    ];
    assert_eq!(tracked(&site).await[8..], expected);
}

/// What was settled stays processed, what is sent again is pending again, what is pruned is gone.
pub async fn outgoing_events_are_tracked_across_generations<S: Site>() {
    let site = S::make("").await;
    let outbox = site.connect().await;
    let mut held = tops(&outbox).await;
    for id in ["e1", "e2", "e3"] {
        site.execute(&addressed(id, "*")).await.unwrap();
    }
    let shard = number_all(&outbox, &mut held).await;
    let crm = settled("crm", shard, 2);
    outbox.subscribe(&held, &crm).await.unwrap();
    let mut low = [EntryId::ZERO; 3];
    low[shard] = EntryId::new(1, 2);
    let begun = outbox.begin_generation(&held, &low, 0).await.unwrap();
    for (lease, checkpoint) in held.iter_mut().zip(begun) {
        lease.checkpoint = checkpoint;
    }
    let expected = [
        "e1|crm|processed|NULL|1|NULL",
        "e2|crm|processed|NULL|1|NULL",
        "e3|crm|pending|NULL|0|NULL",
    ];
    assert_eq!(tracked(&site).await, expected);
    number_all(&outbox, &mut held).await;
    assert_eq!(tracked(&site).await, expected);
    // Who registers from here on has nothing to do with the older generation.
    let mut late = registered("pay");
    for progress in &mut late.shards {
        progress.base = EntryId::new(2, 0);
        progress.settled.at = EntryId::new(2, 0);
    }
    outbox.subscribe(&held, &late).await.unwrap();
    let mut receipt = crm;
    receipt.shards[shard].settled.at = EntryId::new(2, 1);
    outbox.record_receipts(&held, &[receipt]).await.unwrap();
    let expected = [
        "e1|crm|processed|NULL|1|NULL",
        "e2|crm|processed|NULL|1|NULL",
        "e3|crm|processed|NULL|1|NULL",
        "e3|pay|pending|NULL|0|NULL",
    ];
    assert_eq!(tracked(&site).await, expected);

    let later = Timestamp::from_millis(NOW.as_millis() + 1);
    let through = EntryId::new(1, 1);
    outbox.prune(&held[shard], through, later, 9).await.unwrap();
    assert_eq!(tracked(&site).await, expected[1..]);
}
