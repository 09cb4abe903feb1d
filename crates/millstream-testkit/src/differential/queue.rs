use std::time::Duration;

use millstream_core::queue::{self, Member};

use crate::sample::{app, instance, sized_entry};

use super::answer::{Answer, Claimed, Consumer, Group, Pending, Shared};
use super::log::numbered;
use super::operation::{CONSUMERS, GROUPS, MemberIndex, QueueOperation};
use super::side::{Course, Ids};

impl Course {
    pub(super) async fn step_queue(&mut self, operation: &QueueOperation) -> Answer {
        let (queue, stream) = (&*self.side.queue, &self.names.shared);
        let added = &self.added;
        match operation {
            QueueOperation::Add { size } => {
                let number = added.0.len() as u64 + 1;
                let id = queue.add(stream, &sized_entry(number, *size).fields).await;
                Answer::of(id, |id| Answer::Added(self.added.push(id)))
            }
            QueueOperation::ReadGroup { member: by, limit } => {
                let member = member(*by);
                let read = queue
                    .read_group(stream, &member, *limit, Duration::ZERO)
                    .await;
                Answer::of(read, |read| Answer::Numbered(numbered(added, read)))
            }
            QueueOperation::Claim {
                member: by,
                idle_min,
                after,
                limit,
            } => {
                let (member, after) = (member(*by), added.id(*after));
                let claimed = queue.claim(stream, &member, *idle_min, after, *limit).await;
                Answer::of(claimed, |claimed| Answer::Claimed(common(added, claimed)))
            }
            QueueOperation::History {
                member: by,
                after,
                limit,
            } => {
                let (member, after) = (member(*by), added.id(*after));
                let history = queue.history(stream, &member, after, *limit).await;
                Answer::of(history, |history| Answer::Claimed(common(added, history)))
            }
            QueueOperation::Ack { group, entries } => {
                let ids: Vec<_> = entries.iter().map(|&place| added.id(place)).collect();
                let acked = queue.ack(stream, &app(GROUPS[*group]), &ids).await;
                Answer::of(acked, Answer::Count)
            }
            QueueOperation::Pending {
                group,
                after,
                count,
            } => {
                let (group, after) = (app(GROUPS[*group]), added.id(*after));
                let pending = queue.pending(stream, &group, after, *count).await;
                Answer::of(pending, |pending| {
                    let pending = pending.into_iter().map(|entry| Pending {
                        number: added.ordinal(entry.id),
                        consumer: entry.consumer,
                        delivery_count: entry.delivery_count,
                    });
                    Answer::Pending(pending.collect())
                })
            }
            QueueOperation::Range { after, limit } => {
                let range = queue.range(stream, added.id(*after), *limit).await;
                Answer::of(range, |range| Answer::Numbered(numbered(added, range)))
            }
            QueueOperation::Describe => {
                Answer::of(queue.describe_shared(stream).await, |description| {
                    Answer::Shared(Shared {
                        length: description.length,
                        added: description.added,
                        first: description.first.map(|id| added.ordinal(id)),
                        last: added.ordinal(description.last),
                    })
                })
            }
            QueueOperation::Groups => Answer::of(queue.groups(stream).await, |mut groups| {
                groups.sort_by(|a, b| a.name.cmp(&b.name));
                let groups = groups.into_iter().map(|group| Group {
                    name: group.name,
                    last_delivered: added.ordinal(group.last_delivered),
                    pending: group.pending,
                    lag: group.lag,
                });
                Answer::Groups(groups.collect())
            }),
            QueueOperation::Consumers { group } => {
                let consumers = queue.consumers(stream, &app(GROUPS[*group])).await;
                Answer::of(consumers, |consumers| {
                    let consumers = consumers.into_iter().map(|consumer| Consumer {
                        name: consumer.name,
                        pending: consumer.pending,
                    });
                    Answer::Consumers(consumers.collect())
                })
            }
            QueueOperation::ForgetConsumer { member: whom } => {
                let forgotten = queue.forget_consumer(stream, &member(*whom)).await;
                Answer::of(forgotten, Answer::Forgotten)
            }
            QueueOperation::Trim { floor } => {
                let removed = queue.trim_shared(stream, added.id(*floor)).await;
                Answer::of(removed, Answer::Count)
            }
        }
    }
}

fn member(index: MemberIndex) -> Member {
    Member {
        group: app(GROUPS[index.group]),
        consumer: instance(CONSUMERS[index.consumer]),
    }
}

fn common(added: &Ids, claimed: queue::Claimed) -> Claimed {
    Claimed {
        entries: numbered(added, claimed.entries),
        gone: claimed.gone.iter().map(|&id| added.ordinal(id)).collect(),
        more: claimed.next.is_some(),
    }
}
