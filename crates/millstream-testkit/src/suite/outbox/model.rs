use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use millstream_core::acknowledgment::Exception;
use millstream_core::clock::Timestamp;
use millstream_core::delivery::Outcome;
use millstream_core::entry::EntryId;
use millstream_core::lease::{Lease, Leases};
use millstream_core::outbox::{Outbox, Registered};

use super::history::History;
use super::{SHARDS, all, insert, registered, shard, text, tops};
use crate::sample::{database, stream};
use crate::suite::{Site, model};

/// Something that an application or its relay does. Numbers are distances below the top.
#[derive(Debug, Clone)]
enum Act {
    /// Events of these keys, for one of a few targets.
    Write(Vec<(u8, usize)>),
    Number(usize),
    /// A shard, how far, what is how old, how much.
    Prune(u16, u64, i64, usize),
    Subscribe(usize),
    /// Whether of the database that is registered, and of each shard how far it is settled, which of
    /// its events are no further, and how many more.
    Receipt(usize, bool, Vec<(u64, u8, u64)>),
    Unsubscribe(usize),
    /// Of each shard how far it is settled, and which generation others have seen.
    Begin(Vec<u64>, u64),
    TakeOver,
}

const TARGETS: [&str; 4] = ["*", "crm", "crm,pay", "hr"];

/// Publishers do not follow themselves; if one does, it does not count.
const SUBSCRIBERS: [&str; 3] = ["crm", "pay", "hr"];

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let shards = usize::from(SHARDS);
    let who = 0..SUBSCRIBERS.len();
    let writes = prop::collection::vec((0..8u8, 0..TARGETS.len()), 1..6);
    let told = prop::collection::vec((0..4u64, any::<u8>(), 0..2u64), shards);
    let act = prop_oneof![
        6 => writes.prop_map(Act::Write),
        6 => (0..9usize).prop_map(Act::Number),
        3 => (0..SHARDS, 0..4u64, -1..3i64, 0..5usize)
            .prop_map(|(shard, low, age, limit)| Act::Prune(shard, low, age, limit)),
        2 => who.clone().prop_map(Act::Subscribe),
        4 => (who.clone(), prop::bool::weighted(0.9), told)
            .prop_map(|(who, right, told)| Act::Receipt(who, right, told)),
        1 => who.prop_map(Act::Unsubscribe),
        1 => (prop::collection::vec(0..5u64, shards), 0..5u64)
            .prop_map(|(settled, above)| Act::Begin(settled, above)),
        1 => Just(Act::TakeOver),
    ];
    prop::collection::vec(act, 1..20)
}

/// Any program of writes, numbers, subscribers, receipts, prunings and generations: rows, chains,
/// marks, subscribers and the view are as one list would have them.
pub fn upkeep_agrees_with_a_model<S: Site>() {
    model::check_some(S::CASES, acts(), async {}, |(), _, acts| async move {
        let site = S::make("").await;
        let outbox = site.connect().await;
        let mut held = tops(&outbox).await;
        let mut history = History::default();
        for (act, now) in acts.iter().zip(1..) {
            run(&site, &outbox, &mut held, &mut history, act, now).await?;
            for (lease, top) in held.iter_mut().zip(history.tops) {
                lease.checkpoint = outbox.checkpoint(lease).await.unwrap().expect("it is held");
                prop_assert_eq!(lease.checkpoint.at, top);
            }
            agree(&site, &outbox, &history).await?;
        }
        Ok(())
    });
}

async fn run<S: Site>(
    site: &S,
    outbox: &S::Handle,
    held: &mut Vec<Lease>,
    history: &mut History,
    act: &Act,
    now: i64,
) -> Result<(), TestCaseError> {
    match act {
        Act::Write(events) => {
            let write = |(key, target): &(u8, usize)| {
                let (key, target) = (key.to_string(), TARGETS[*target]);
                let id = history.write(&key, target);
                insert("acme", &key, "{}")
                    .replace("event_data)", "event_data, event_id, target_application)")
                    .replace("'{}')", &format!("'{{}}', '{id}', '{target}')"))
            };
            let sql: Vec<_> = events.iter().map(write).collect();
            site.execute(&sql.concat()).await.unwrap();
        }
        Act::Number(limit) => {
            let now = Timestamp::from_millis(now);
            outbox.number(held, *limit, now).await.unwrap();
            history.number(*limit, now);
        }
        Act::Prune(shard, low, age, limit) => {
            let top = &held[usize::from(*shard)];
            let through = below(top.checkpoint.at, *low);
            let before = Timestamp::from_millis(now - age);
            let pruned = outbox.prune(top, through, before, *limit).await.unwrap();
            history.prune(*shard, through, before, *limit);
            prop_assert_eq!(pruned, history.pruned[usize::from(*shard)]);
        }
        Act::Subscribe(who) => {
            let subscriber = newcomer(history, SUBSCRIBERS[*who]);
            outbox.subscribe(held, &subscriber).await.unwrap();
            history.subscribe(SUBSCRIBERS[*who], subscriber);
        }
        Act::Receipt(who, right, told) => {
            let receipt = receipt(history, SUBSCRIBERS[*who], *right, told);
            let changed = std::slice::from_ref(&receipt);
            outbox.record_receipts(held, changed).await.unwrap();
            history.record(SUBSCRIBERS[*who], &receipt);
        }
        Act::Unsubscribe(who) => {
            let name = SUBSCRIBERS[*who];
            let removed = outbox
                .unsubscribe(&stream("events"), &crate::app(name))
                .await;
            let expected = history.subscribers.remove(name).is_some();
            prop_assert_eq!(removed.unwrap(), expected);
        }
        Act::Begin(low, above) => {
            let settled: Vec<_> = history
                .tops
                .iter()
                .zip(low)
                .map(|(top, low)| below(*top, *low))
                .collect();
            let begun = outbox.begin_generation(held, &settled, *above).await;
            let begun = begun.unwrap();
            history.begin(&settled, *above);
            let begun: Vec<_> = begun.iter().map(|checkpoint| checkpoint.at).collect();
            prop_assert_eq!(begun, history.tops);
        }
        Act::TakeOver => *held = tops(outbox).await,
    }
    Ok(())
}

fn below(top: EntryId, low: u64) -> EntryId {
    EntryId::new(top.high, top.low.saturating_sub(low))
}

/// It begins where the outbox does, in the generation of today.
fn newcomer(history: &History, name: &str) -> Registered {
    let mut subscriber = registered(name);
    for ((progress, pruned), top) in subscriber
        .shards
        .iter_mut()
        .zip(history.pruned)
        .zip(history.tops)
    {
        progress.base = pruned.max(EntryId::new(top.high, 0));
        progress.settled.at = progress.base;
    }
    subscriber
}

fn receipt(history: &History, name: &str, right: bool, told: &[(u64, u8, u64)]) -> Registered {
    let mut receipt = newcomer(history, name);
    if !right {
        receipt.database = database("another");
    }
    for (number, (low, failing, omitted)) in (0..SHARDS).zip(told) {
        let progress = &mut receipt.shards[usize::from(number)];
        progress.settled.at = below(history.tops[usize::from(number)], *low);
        progress.omitted = *omitted;
        progress.exceptions = history
            .could_fail(name, number, progress.settled.at)
            .into_iter()
            .zip((0..8).cycle())
            .filter(|(_, bit)| failing >> bit & 1 == 1)
            .map(|(at, bit)| Exception {
                at,
                outcome: [Outcome::Dead, Outcome::Blocked, Outcome::Retrying][bit % 3],
                attempts: 1,
                reason: "no".into(),
            })
            .collect();
    }
    receipt
}

async fn agree<S: Site>(
    site: &S,
    outbox: &S::Handle,
    history: &History,
) -> Result<(), TestCaseError> {
    let events = stream("events");
    for number in 0..SHARDS {
        let rows = all(outbox, number).await;
        let found: Vec<_> = rows
            .iter()
            .map(|row| {
                let prev = row.prev.as_ref().map(|prev| text(prev).to_owned());
                (text(&row.event_id).to_owned(), row.at, prev)
            })
            .collect();
        let expected: Vec<_> = history
            .numbered(number)
            .into_iter()
            .map(|row| {
                let at = row.at.expect("it is numbered");
                (row.id.clone(), at, history.prev(number, at).cloned())
            })
            .collect();
        prop_assert_eq!(found, expected);

        let begin = EntryId::new(history.tops[usize::from(number)].high, 0);
        let current = outbox.numbered(&shard(number), begin, 999).await.unwrap();
        let younger = rows.partition_point(|row| row.at <= begin);
        prop_assert_eq!(&current, &rows[younger..]);
    }
    let waiting = history.rows.iter().filter(|row| row.at.is_none()).count();
    prop_assert_eq!(outbox.unsent(&events).await.unwrap(), waiting as u64);
    prop_assert_eq!(outbox.pruned(&events).await.unwrap(), history.pruned);
    let subscribers = outbox.subscribers(&events).await.unwrap();
    let expected: Vec<_> = history.subscribers.values().cloned().collect();
    prop_assert_eq!(subscribers, expected);
    let query = "SELECT event_id, application, status, outcome FROM event_tracking";
    let mut tracked = site.rows(query).await;
    tracked.sort();
    prop_assert_eq!(tracked, history.tracked());
    Ok(())
}
