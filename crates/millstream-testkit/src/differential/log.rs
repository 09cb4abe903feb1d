use std::time::Duration;

use millstream_core::descriptor::{Bounds, Descriptor, Subscriber, Subscription};
use millstream_core::entry::{Entry, EntryId};
use millstream_core::lease::Checkpoint;
use millstream_core::log::{Appended, Position};
use millstream_core::name::EventId;

use crate::sample::{app, database, sized_entry};

use super::answer::{Answer, Numbered};
use super::operation::{Batch, DATABASES, GROUPS, Ids, Last, LogOperation, Seq};
use super::side::{self, Course};

impl Course {
    pub(super) async fn step_log(&mut self, number: u16, operation: &LogOperation) -> Answer {
        let (log, shard) = (&*self.side.log, self.names.shard(number));
        let last = self.last[usize::from(number)];
        match operation {
            LogOperation::Append { last: named, batch } => {
                let named = believed(*named, last);
                let entries = entries(named, batch);
                let answer = log.append(&shard, named, &entries).await;
                if let Ok(Appended::Added) = answer {
                    self.last[usize::from(number)] = top(named, &entries);
                }
                Answer::of(answer, Answer::Appended)
            }
            LogOperation::Replace {
                judged,
                base,
                batch,
            } => {
                let judged = believed(*judged, last);
                let base = place(*base, last);
                let entries = entries(base, batch);
                let answer = log.replace(&shard, judged, base, &entries).await;
                if let Ok(Appended::Added) = answer {
                    self.last[usize::from(number)] = top(base, &entries);
                }
                Answer::of(answer, Answer::Appended)
            }
            LogOperation::Read { after, limit } => {
                let after = place(*after, last);
                let read = log.read(&shard, after, *limit, Duration::ZERO).await;
                Answer::of(read, Answer::Entries)
            }
            LogOperation::Trim { floor } => {
                let removed = log.trim(&shard, place(*floor, last)).await;
                Answer::of(removed, Answer::Count)
            }
            LogOperation::PublishPosition {
                group,
                database: by,
                at,
            } => {
                let position = Position {
                    group: app(GROUPS[*group]),
                    database: database(DATABASES[*by]),
                    at: place(*at, last),
                };
                let published = log.publish_position(&shard, &position).await;
                Answer::of(published, |()| Answer::Done)
            }
            LogOperation::Positions => {
                let positions = log.positions(&shard).await;
                Answer::of(positions, |mut positions| {
                    positions.sort_by(|a, b| a.group.cmp(&b.group));
                    Answer::Positions(positions)
                })
            }
            LogOperation::ForgetPositions { group } => {
                let forgotten = log.forget_positions(&shard, &app(GROUPS[*group])).await;
                Answer::of(forgotten, |()| Answer::Done)
            }
            LogOperation::Describe => Answer::of(log.describe(&shard).await, Answer::Description),
            LogOperation::Announce {
                shards,
                subscribers,
                count,
            } => {
                let descriptor = self.descriptor(*shards, *subscribers, *count, last);
                Answer::of(log.announce(&descriptor).await, |()| Answer::Done)
            }
            LogOperation::Publishers { all } => {
                let stream = (!all).then_some(&self.names.owned);
                let publishers = log.publishers(stream).await;
                Answer::of(publishers, |mut publishers| {
                    // Programs run side by side; what others announced changes meanwhile.
                    publishers.retain(|descriptor| descriptor.stream == self.names.owned);
                    Answer::Descriptors(publishers)
                })
            }
            LogOperation::Acknowledge { size } => {
                let fields = sized_entry(0, *size).fields;
                let left = log.acknowledge(&self.names.owner, &fields).await;
                Answer::of(left, |()| Answer::Done)
            }
            LogOperation::Acknowledgments { after, count } => {
                let owner = &self.names.owner;
                // Their ids are told here only.
                let all = match log
                    .acknowledgments(owner, EntryId::ZERO, usize::MAX >> 1)
                    .await
                {
                    Ok(all) => side::Ids(all.iter().map(|entry| entry.id).collect()),
                    Err(error) => return Answer::Failed(error.kind()),
                };
                let messages = log.acknowledgments(owner, all.id(*after), *count).await;
                Answer::of(messages, |messages| {
                    Answer::Messages(all.0.len(), numbered(&all, messages))
                })
            }
        }
    }

    fn descriptor(&self, shards: u16, subscribers: usize, count: u64, last: EntryId) -> Descriptor {
        let bounds = Bounds {
            left_behind: EntryId::ZERO,
            pruned: EntryId::ZERO,
            floor: EntryId::new(last.high, last.low / 2),
            top: Checkpoint {
                at: last,
                event_id: EventId::new(format!("event \"{last}\"")).ok(),
            },
        };
        let subscription = Subscription {
            base: EntryId::ZERO,
            settled: last,
        };
        Descriptor {
            stream: self.names.owned.clone(),
            owner: self.names.owner.clone(),
            database: database(DATABASES[0]),
            shards,
            generation: last.high,
            count,
            bounds: vec![bounds; shards.into()],
            subscribers: (0..subscribers)
                .map(|number| Subscriber {
                    application: app(&format!("app-{number}")),
                    database: database(DATABASES[1]),
                    shards: vec![subscription; shards.into()],
                })
                .collect(),
        }
    }
}

pub(super) fn numbered(ids: &side::Ids, entries: Vec<Entry>) -> Vec<Numbered> {
    entries
        .into_iter()
        .map(|entry| Numbered {
            number: ids.ordinal(entry.id),
            fields: entry.fields,
        })
        .collect()
}

fn believed(last: Last, right: EntryId) -> EntryId {
    match last {
        Last::Right => right,
        Last::Zero => EntryId::ZERO,
        Last::Below => EntryId::new(right.high, right.low.saturating_sub(1)),
        Last::Above => EntryId::new(right.high, right.low + 1),
    }
}

fn place(seq: Seq, last: EntryId) -> EntryId {
    match seq {
        Seq::Zero => EntryId::ZERO,
        Seq::Last => last,
        Seq::Below(by) => EntryId::new(last.high, last.low.saturating_sub(by)),
        Seq::Above(by) => EntryId::new(last.high, last.low + by),
        Seq::Generation => EntryId::new(last.high + 1, 0),
        Seq::Max => EntryId::new(u64::MAX, u64::MAX),
    }
}

/// The entries of a batch, which follows an id.
fn entries(before: EntryId, batch: &Batch) -> Vec<Entry> {
    let first = match batch.ids {
        Ids::Dense | Ids::Twice => EntryId::new(before.high.max(1), before.low + 1),
        Ids::Gap => EntryId::new(before.high.max(1), before.low + 3),
        Ids::NextGeneration => EntryId::new(before.high + 1, 1),
        Ids::Stale => before,
    };
    let mut entries: Vec<_> = (first.low..)
        .zip(&batch.sizes)
        .map(|(low, &size)| Entry {
            id: EntryId::new(first.high, low),
            ..sized_entry(low, size)
        })
        .collect();
    if let (Ids::Twice, Some(last)) = (batch.ids, entries.last().cloned()) {
        entries.push(last);
    }
    entries
}

fn top(base: EntryId, entries: &[Entry]) -> EntryId {
    entries.last().map_or(base, |entry| entry.id)
}
