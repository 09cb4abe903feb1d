use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use millstream_core::entry::{Entry, EntryId};
use millstream_core::name::StreamName;
use millstream_core::queue::{Claimed, Group, Queue};

use super::{claim_all, history_all, ids, member};
use crate::sample::{app, fields, instance, stream};
use crate::suite::{ALL, Place, model, up_to};

/// Random programs of two groups with two members each give the same answers as a queue that is a
/// list in memory.
pub fn agrees_with_a_model<P: Place<Handle: Queue>>() {
    let place = async {
        let place = P::make().await;
        let handles = [place.connect().await, place.connect().await];
        Arc::new((place, handles))
    };
    let programs = prop::collection::vec((0..2usize, operation()), 1..30);
    model::check(programs, place, |context, number, program| async move {
        let stream = stream(&format!("program-{number}"));
        let mut model = Model::default();
        for (handle, operation) in program {
            step(&context.1[handle], &stream, &mut model, operation).await?;
        }
        Ok(())
    });
}

#[derive(Debug, Clone)]
enum Operation {
    Add,
    Take {
        group: usize,
        consumer: usize,
        count: usize,
    },
    Claim {
        group: usize,
        consumer: usize,
        count: usize,
    },
    History {
        group: usize,
        consumer: usize,
        count: usize,
    },
    ForgetConsumer {
        group: usize,
        consumer: usize,
    },
    /// Of what was ever added, each by its bit.
    Ack {
        group: usize,
        which: u32,
    },
    /// Down from the newest.
    Trim {
        keep: usize,
    },
    Look,
}

fn operation() -> impl Strategy<Value = Operation> {
    let reader = || (0..2usize, 0..2usize, 1..6usize);
    prop_oneof![
        8 => Just(Operation::Add),
        5 => reader().prop_map(|(group, consumer, count)| Operation::Take {
            group,
            consumer,
            count
        }),
        2 => reader().prop_map(|(group, consumer, count)| Operation::Claim {
            group,
            consumer,
            count
        }),
        2 => reader().prop_map(|(group, consumer, count)| Operation::History {
            group,
            consumer,
            count
        }),
        1 => (0..2usize, 0..2usize)
            .prop_map(|(group, consumer)| Operation::ForgetConsumer { group, consumer }),
        3 => (0..2usize, any::<u32>()).prop_map(|(group, which)| Operation::Ack { group, which }),
        1 => (0..10usize).prop_map(|keep| Operation::Trim { keep }),
        2 => Just(Operation::Look),
    ]
}

const GROUPS: [&str; 2] = ["billing", "hr"];
const CONSUMERS: [&str; 2] = ["1", "2"];

#[derive(Debug, Default)]
struct Model {
    added: Vec<EntryId>,
    entries: Vec<Entry>,
    groups: BTreeMap<usize, GroupModel>,
}

#[derive(Debug, Default)]
struct GroupModel {
    last_delivered: EntryId,
    pending: BTreeMap<EntryId, Held>,
    /// Consumers that the group must know, since they were handed something.
    known: BTreeSet<usize>,
    /// Consumers that it may know, since they asked.
    asked: BTreeSet<usize>,
}

#[derive(Debug)]
struct Held {
    by: usize,
    /// A transport may or may not count the entries of a history as handed out again.
    count: RangeInclusive<u64>,
}

impl GroupModel {
    fn holds(&self, consumer: usize) -> u64 {
        self.pending
            .values()
            .filter(|held| held.by == consumer)
            .count() as u64
    }
}

async fn step(
    queue: &impl Queue,
    stream: &StreamName,
    model: &mut Model,
    operation: Operation,
) -> Result<(), TestCaseError> {
    match operation {
        Operation::Add => {
            let fields = fields(model.added.len() as u64);
            let id = queue.add(stream, &fields).await.unwrap();
            prop_assert!(model.added.last().is_none_or(|&last| last < id));
            model.added.push(id);
            model.entries.push(Entry { id, fields });
        }
        Operation::Take {
            group,
            consumer,
            count,
        } => {
            let me = member(GROUPS[group], CONSUMERS[consumer]);
            let taken = queue
                .read_group(stream, &me, up_to(count), Duration::ZERO)
                .await
                .unwrap();
            let state = model.groups.entry(group).or_default();
            let expected: Vec<_> = (model.entries.iter())
                .filter(|entry| entry.id > state.last_delivered)
                .take(count)
                .cloned()
                .collect();
            state.asked.insert(consumer);
            for entry in &expected {
                state.known.insert(consumer);
                state.last_delivered = entry.id;
                let held = Held {
                    by: consumer,
                    count: 1..=1,
                };
                state.pending.insert(entry.id, held);
            }
            prop_assert_eq!(taken, expected);
        }
        Operation::Claim {
            group,
            consumer,
            count,
        } => {
            let me = member(GROUPS[group], CONSUMERS[consumer]);
            let claimed = claim_all(queue, stream, &me, Duration::ZERO, up_to(count)).await;
            let mut expected = Claimed::default();
            if let Some(state) = model.groups.get_mut(&group) {
                state.pending.retain(|&id, held| {
                    let entry = model.entries.iter().find(|entry| entry.id == id);
                    match entry {
                        Some(entry) => expected.entries.push(entry.clone()),
                        None => expected.gone.push(id),
                    }
                    *held = Held {
                        by: consumer,
                        count: held.count.start() + 1..=held.count.end() + 1,
                    };
                    entry.is_some()
                });
                state.asked.insert(consumer);
                if !expected.entries.is_empty() {
                    state.known.insert(consumer);
                }
            }
            prop_assert_eq!(claimed, expected);
        }
        Operation::History {
            group,
            consumer,
            count,
        } => {
            let me = member(GROUPS[group], CONSUMERS[consumer]);
            let history = history_all(queue, stream, &me, up_to(count)).await;
            let mut expected = Claimed::default();
            if let Some(state) = model.groups.get_mut(&group) {
                state.pending.retain(|&id, held| {
                    if held.by != consumer {
                        return true;
                    }
                    let entry = model.entries.iter().find(|entry| entry.id == id);
                    match entry {
                        Some(entry) => expected.entries.push(entry.clone()),
                        None => expected.gone.push(id),
                    }
                    held.count = *held.count.start()..=held.count.end() + 1;
                    entry.is_some()
                });
                state.asked.insert(consumer);
            }
            prop_assert_eq!(history, expected);
        }
        Operation::ForgetConsumer { group, consumer } => {
            let me = member(GROUPS[group], CONSUMERS[consumer]);
            let forgotten = queue.forget_consumer(stream, &me).await.unwrap();
            let Some(state) = model.groups.get_mut(&group) else {
                prop_assert!(!forgotten);
                return Ok(());
            };
            if state.holds(consumer) > 0 || !state.asked.contains(&consumer) {
                prop_assert!(!forgotten);
            } else if state.known.contains(&consumer) {
                prop_assert!(forgotten);
            }
            if state.holds(consumer) == 0 {
                state.known.remove(&consumer);
                state.asked.remove(&consumer);
            }
        }
        Operation::Ack { group, which } => {
            let chosen: Vec<_> = (model.added.iter().enumerate())
                .filter(|(number, _)| which >> (number % 32) & 1 == 1)
                .map(|(_, &id)| id)
                .collect();
            let acked = queue
                .ack(stream, &app(GROUPS[group]), &chosen)
                .await
                .unwrap();
            let pending = model.groups.get_mut(&group).map(|state| &mut state.pending);
            let expected = pending.map_or(0, |pending| {
                chosen
                    .iter()
                    .filter(|id| pending.remove(id).is_some())
                    .count()
            });
            prop_assert_eq!(acked, expected as u64);
        }
        Operation::Trim { keep } => {
            let Some(&floor) = model.added.iter().rev().nth(keep) else {
                return Ok(());
            };
            let length = model.entries.len();
            model.entries.retain(|entry| entry.id >= floor);
            let removed = queue.trim_shared(stream, floor).await.unwrap();
            prop_assert_eq!(removed, (length - model.entries.len()) as u64);
        }
        Operation::Look => look(queue, stream, model).await?,
    }
    Ok(())
}

async fn look(queue: &impl Queue, stream: &StreamName, model: &Model) -> Result<(), TestCaseError> {
    let range = queue.range(stream, EntryId::ZERO, ALL).await.unwrap();
    prop_assert_eq!(ids(&range), ids(&model.entries));

    let description = queue.describe_shared(stream).await.unwrap();
    prop_assert_eq!(description.length, model.entries.len() as u64);
    prop_assert_eq!(description.added, model.added.len() as u64);
    prop_assert_eq!(
        description.first,
        model.entries.first().map(|entry| entry.id)
    );
    prop_assert_eq!(
        description.last,
        model.added.last().copied().unwrap_or_default()
    );

    let mut groups = queue.groups(stream).await.unwrap();
    groups.sort_by(|a, b| a.name.cmp(&b.name));
    let expected: Vec<_> = (model.groups.iter())
        .map(|(&group, state)| Group {
            name: app(GROUPS[group]),
            last_delivered: state.last_delivered,
            pending: state.pending.len() as u64,
            lag: model
                .entries
                .iter()
                .filter(|entry| entry.id > state.last_delivered)
                .count() as u64,
        })
        .collect();
    prop_assert_eq!(groups, expected);

    for (&group, state) in &model.groups {
        let pending = queue
            .pending(stream, &app(GROUPS[group]), EntryId::ZERO, 100)
            .await
            .unwrap();
        let found: Vec<_> = pending
            .iter()
            .map(|p| (p.id, p.consumer.as_str()))
            .collect();
        let expected: Vec<_> = (state.pending.iter())
            .map(|(&id, held)| (id, CONSUMERS[held.by]))
            .collect();
        prop_assert_eq!(found, expected);
        for (p, held) in pending.iter().zip(state.pending.values()) {
            prop_assert!(
                held.count.contains(&p.delivery_count),
                "{:?}: {:?}",
                p,
                held
            );
        }

        let consumers = queue.consumers(stream, &app(GROUPS[group])).await.unwrap();
        let name = |consumer: &usize| instance(CONSUMERS[*consumer]);
        prop_assert!(consumers.is_sorted_by(|a, b| a.name < b.name));
        for known in state.known.iter().map(name) {
            prop_assert!(consumers.iter().any(|consumer| consumer.name == known));
        }
        for consumer in &consumers {
            let asked = state
                .asked
                .iter()
                .find(|asked| name(asked) == consumer.name);
            prop_assert!(asked.is_some(), "{:?} never asked", consumer);
            let holds = asked.map(|&asked| state.holds(asked));
            prop_assert_eq!(holds, Some(consumer.pending));
        }
    }
    Ok(())
}
