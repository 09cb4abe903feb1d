use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use millstream_core::descriptor::{Bounds, Descriptor};
use millstream_core::entry::{Entry, EntryId, Fields, Shard};
use millstream_core::error::ErrorKind;
use millstream_core::log::{Appended, Description, Log, Position, ReadLimit};

use crate::sample::{app, database, fields, sized_entry, stream};
use crate::suite::{Place, model};

/// Random programs on two shards give the same answers as a log that is a list in memory.
pub fn agrees_with_a_model<P: Place<Handle: Log>>() {
    let place = async {
        let place = P::make().await;
        let handles = [place.connect().await, place.connect().await];
        Arc::new((place, handles))
    };
    let programs = prop::collection::vec((0..2usize, 0..2u16, operation()), 1..30);
    model::check(programs, place, |context, number, program| async move {
        let mut models: [Model; 2] = Default::default();
        for (handle, shard, operation) in program {
            let log = &context.1[handle];
            let model = &mut models[usize::from(shard)];
            let shard = Shard {
                // Announcements and messages belong to stream and owner: one shard of each.
                stream: stream(&format!("program-{number}-{shard}")),
                owner: app(&format!("crm-{number}-{shard}")),
                number: shard,
            };
            step(log, &shard, model, operation).await?;
        }
        Ok(())
    });
}

#[derive(Debug, Clone)]
enum Operation {
    /// `off` is added to the seq of the last id that is named: 0 is right.
    Append {
        off: u64,
        skip: u64,
        sizes: Vec<usize>,
    },
    /// Begins the shard anew with entries of these sizes, dense from the base on.
    Replace {
        off: u64,
        base: u64,
        sizes: Vec<usize>,
    },
    Generation,
    Read {
        after: u64,
        limit: ReadLimit,
    },
    Trim {
        floor: u64,
    },
    Publish {
        group: usize,
        database: usize,
        at: u64,
    },
    Forget {
        group: usize,
    },
    Announce {
        shards: u16,
    },
    Acknowledge {
        number: u64,
    },
    /// From the message of this number on, of those that there are.
    Acknowledgments {
        from: usize,
        count: usize,
    },
    Describe,
}

fn operation() -> impl Strategy<Value = Operation> {
    let off = || prop_oneof![8 => Just(0u64), 1 => 1..3u64];
    let limit = (1..12usize, prop_oneof![Just(usize::MAX), 0..400usize]);
    prop_oneof![
        6 => (off(), 0..3u64, prop::collection::vec(4..200usize, 0..6))
            .prop_map(|(off, skip, sizes)| Operation::Append { off, skip, sizes }),
        2 => (off(), 0..30u64, prop::collection::vec(4..200usize, 0..6))
            .prop_map(|(off, base, sizes)| Operation::Replace { off, base, sizes }),
        1 => Just(Operation::Generation),
        4 => (0..40u64, limit).prop_map(|(after, (count, bytes))| Operation::Read {
            after,
            limit: ReadLimit { count, bytes },
        }),
        2 => (0..40u64).prop_map(|floor| Operation::Trim { floor }),
        3 => (0..2usize, 0..6usize, 0..40u64).prop_map(|(group, database, at)| {
            // Mostly the same database, or hardly anything would get published.
            Operation::Publish { group, database: database / 5, at }
        }),
        1 => (0..2usize).prop_map(|group| Operation::Forget { group }),
        1 => (1..9u16).prop_map(|shards| Operation::Announce { shards }),
        2 => (0..99u64).prop_map(|number| Operation::Acknowledge { number }),
        2 => (0..8usize, 0..4usize)
            .prop_map(|(from, count)| Operation::Acknowledgments { from, count }),
        2 => Just(Operation::Describe),
    ]
}

#[derive(Debug, Default)]
struct Model {
    entries: Vec<Entry>,
    last: EntryId,
    added: u64,
    generation: u64,
    positions: BTreeMap<usize, (usize, EntryId)>,
    descriptor: Option<Descriptor>,
    acknowledged: Vec<Fields>,
}

impl Model {
    fn id(&self, seq: u64) -> EntryId {
        EntryId::new(self.generation + 1, seq)
    }

    fn append(&mut self, last: EntryId, entries: &[Entry]) -> Appended {
        if last != self.last {
            return Appended::Mismatch { last: self.last };
        }
        self.entries.extend_from_slice(entries);
        self.added += entries.len() as u64;
        self.last = entries.last().map_or(last, |entry| entry.id);
        Appended::Added
    }

    fn replace(&mut self, judged: EntryId, base: EntryId, entries: &[Entry]) -> Appended {
        if judged != self.last {
            return Appended::Mismatch { last: self.last };
        }
        self.entries = entries.to_vec();
        self.added = base.low + entries.len() as u64;
        self.last = entries.last().map_or(base, |entry| entry.id);
        self.positions.clear();
        Appended::Added
    }

    fn read(&self, after: EntryId, limit: ReadLimit) -> Vec<Entry> {
        let mut bytes = 0;
        self.entries
            .iter()
            .filter(|entry| entry.id > after)
            .take_while(|entry| {
                let more = bytes == 0 || bytes < limit.bytes;
                bytes += entry.fields.byte_len();
                more
            })
            .take(limit.count)
            .cloned()
            .collect()
    }
}

const GROUPS: [&str; 2] = ["billing", "hr"];
const DATABASES: [&str; 2] = ["d1", "d2"];

async fn step(
    log: &impl Log,
    shard: &Shard,
    model: &mut Model,
    operation: Operation,
) -> Result<(), TestCaseError> {
    match operation {
        Operation::Append { off, skip, sizes } => {
            let named = EntryId::new(model.last.high, model.last.low + off);
            let first = named.max(model.id(0)).low + skip + 1;
            let first = if model.id(0) > named { skip + 1 } else { first };
            let entries: Vec<_> = (first..)
                .zip(sizes)
                .map(|(seq, size)| Entry {
                    id: model.id(seq),
                    ..sized_entry(seq, size)
                })
                .collect();
            let appended = log.append(shard, named, &entries).await.unwrap();
            prop_assert_eq!(appended, model.append(named, &entries));
        }
        Operation::Replace { off, base, sizes } => {
            let judged = EntryId::new(model.last.high, model.last.low + off);
            let entries: Vec<_> = (base + 1..)
                .zip(sizes)
                .map(|(seq, size)| Entry {
                    id: model.id(seq),
                    ..sized_entry(seq, size)
                })
                .collect();
            let base = model.id(base);
            let replaced = log.replace(shard, judged, base, &entries).await.unwrap();
            prop_assert_eq!(replaced, model.replace(judged, base, &entries));
        }
        Operation::Generation => model.generation += 1,
        Operation::Read { after, limit } => {
            let after = model.id(after);
            let read = log.read(shard, after, limit, Duration::ZERO).await.unwrap();
            prop_assert_eq!(read, model.read(after, limit));
        }
        Operation::Trim { floor } => {
            let floor = model.id(floor);
            let length = model.entries.len();
            model.entries.retain(|entry| entry.id >= floor);
            let removed = log.trim(shard, floor).await.unwrap();
            prop_assert_eq!(removed, (length - model.entries.len()) as u64);
        }
        Operation::Publish {
            group,
            database: by,
            at,
        } => {
            let at = model.id(at);
            let position = Position {
                group: app(GROUPS[group]),
                database: database(DATABASES[by]),
                at,
            };
            let published = log.publish_position(shard, &position).await;
            let held = model.positions.entry(group).or_insert((by, at));
            if held.0 == by {
                held.1 = held.1.max(at);
                prop_assert!(published.is_ok());
            } else {
                prop_assert_eq!(published.unwrap_err().kind(), ErrorKind::Fenced);
            }
        }
        Operation::Forget { group } => {
            model.positions.remove(&group);
            log.forget_positions(shard, &app(GROUPS[group]))
                .await
                .unwrap();
        }
        Operation::Announce { shards } => {
            let descriptor = Descriptor {
                stream: shard.stream.clone(),
                owner: shard.owner.clone(),
                database: database("d1"),
                shards,
                generation: model.generation + 1,
                count: shards.into(),
                bounds: vec![Bounds::default(); shards.into()],
                subscribers: Vec::new(),
            };
            log.announce(&descriptor).await.unwrap();
            model.descriptor = Some(descriptor);
        }
        Operation::Acknowledge { number } => {
            log.acknowledge(&shard.owner, &fields(number))
                .await
                .unwrap();
            model.acknowledged.push(fields(number));
        }
        Operation::Acknowledgments { from, count } => {
            let all = log
                .acknowledgments(&shard.owner, EntryId::ZERO, usize::MAX >> 1)
                .await
                .unwrap();
            let contents: Vec<_> = all.iter().map(|entry| &entry.fields).collect();
            prop_assert_eq!(contents, model.acknowledged.iter().collect::<Vec<_>>());
            let from = from.min(all.len());
            let after = from
                .checked_sub(1)
                .map_or(EntryId::ZERO, |before| all[before].id);
            let some = log
                .acknowledgments(&shard.owner, after, count)
                .await
                .unwrap();
            prop_assert_eq!(&some[..], &all[from..all.len().min(from + count)]);
        }
        Operation::Describe => {
            let publishers = log.publishers(Some(&shard.stream)).await.unwrap();
            let expected: Vec<_> = model.descriptor.iter().cloned().collect();
            prop_assert_eq!(publishers, expected);
            let expected = Description {
                length: model.entries.len() as u64,
                added: model.added,
                first: model.entries.first().map(|entry| entry.id),
                last: model.last,
            };
            prop_assert_eq!(log.describe(shard).await.unwrap(), expected);
            let mut positions = log.positions(shard).await.unwrap();
            positions.sort_by(|a, b| a.group.cmp(&b.group));
            let expected: Vec<_> = model
                .positions
                .iter()
                .map(|(&group, &(by, at))| Position {
                    group: app(GROUPS[group]),
                    database: database(DATABASES[by]),
                    at,
                })
                .collect();
            prop_assert_eq!(positions, expected);
        }
    }
    Ok(())
}
