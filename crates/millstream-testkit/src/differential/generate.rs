use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use millstream_core::log::ReadLimit;

use super::operation::{
    Batch, CONSUMERS, DATABASES, GROUPS, Ids, Last, LogOperation, MemberIndex, Operation, Place,
    QueueOperation, SHARDS, Seq,
};

/// Longer than any run.
const LONG: Duration = Duration::from_secs(86_400);

/// The program of this number; the same for the same seed.
pub(super) fn program(seed: u64, number: u64, length: usize) -> Vec<Operation> {
    // Far apart, so that neighbouring seeds have no program in common.
    let seed = seed
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add(number);
    let mut random = Random(StdRng::seed_from_u64(seed));
    (0..length).map(|_| random.operation()).collect()
}

struct Random(StdRng);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0.random_range(0..end)
    }

    fn number(&mut self, end: u64) -> u64 {
        self.0.random_range(0..end)
    }

    /// One of these, each as often as it is listed.
    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    fn operation(&mut self) -> Operation {
        if self.below(2) == 0 {
            Operation::Log {
                shard: self.0.random_range(0..SHARDS),
                operation: self.log(),
            }
        } else {
            Operation::Queue(self.queue())
        }
    }

    fn log(&mut self) -> LogOperation {
        match self.below(400) {
            0..100 => LogOperation::Append {
                last: self.last(),
                batch: self.batch(),
            },
            100..120 => LogOperation::Replace {
                judged: self.last(),
                base: self.seq(),
                batch: Batch {
                    // The seqs of a shard are dense from its base on; that is what `added` rests on.
                    ids: self.one_of(&[Ids::Dense, Ids::Dense, Ids::Dense, Ids::Stale, Ids::Twice]),
                    ..self.batch()
                },
            },
            120..190 => LogOperation::Read {
                after: self.any_seq(),
                limit: self.limit(),
            },
            190..215 => LogOperation::Trim {
                floor: self.any_seq(),
            },
            215..250 => LogOperation::PublishPosition {
                group: self.below(GROUPS.len()),
                // Mostly the same database, or hardly anything would get published.
                database: if self.below(6) == 0 {
                    self.below(DATABASES.len())
                } else {
                    0
                },
                at: self.seq(),
            },
            250..275 => LogOperation::Positions,
            275..285 => LogOperation::ForgetPositions {
                group: self.below(GROUPS.len()),
            },
            285..325 => LogOperation::Describe,
            325..335 => LogOperation::Announce {
                shards: self.0.random_range(1..5),
                subscribers: self.below(4),
                count: self.number(u64::MAX),
            },
            335..349 => LogOperation::Publishers { all: false },
            349..350 => LogOperation::Publishers { all: true },
            350..375 => LogOperation::Acknowledge { size: self.size() },
            _ => LogOperation::Acknowledgments {
                after: self.place(),
                count: self.below(5),
            },
        }
    }

    fn queue(&mut self) -> QueueOperation {
        match self.below(400) {
            0..100 => QueueOperation::Add { size: self.size() },
            100..160 => QueueOperation::ReadGroup {
                member: self.member(),
                limit: self.limit(),
            },
            160..200 => QueueOperation::Claim {
                member: self.member(),
                idle_min: self.one_of(&[Duration::ZERO, Duration::ZERO, LONG]),
                after: self.place(),
                limit: self.limit(),
            },
            200..230 => QueueOperation::History {
                member: self.member(),
                after: self.place(),
                limit: self.limit(),
            },
            230..270 => QueueOperation::Ack {
                group: self.below(GROUPS.len()),
                entries: (0..self.below(5)).map(|_| self.place()).collect(),
            },
            270..300 => QueueOperation::Pending {
                group: self.below(GROUPS.len()),
                after: self.place(),
                count: self.below(6),
            },
            300..320 => QueueOperation::Range {
                after: self.place(),
                limit: self.limit(),
            },
            320..335 => QueueOperation::Describe,
            335..355 => QueueOperation::Groups,
            355..372 => QueueOperation::Consumers {
                group: self.below(GROUPS.len()),
            },
            372..390 => QueueOperation::ForgetConsumer {
                member: self.member(),
            },
            _ => QueueOperation::Trim {
                floor: self.place(),
            },
        }
    }

    fn member(&mut self) -> MemberIndex {
        MemberIndex {
            group: self.below(GROUPS.len()),
            consumer: self.below(CONSUMERS.len()),
        }
    }

    fn last(&mut self) -> Last {
        match self.below(16) {
            0 => Last::Zero,
            1 => Last::Below,
            2 => Last::Above,
            _ => Last::Right,
        }
    }

    /// A place that entries may follow.
    fn seq(&mut self) -> Seq {
        match self.below(16) {
            0 => Seq::Zero,
            1..4 => Seq::Last,
            4 => Seq::Above(1 + self.number(5)),
            5 => Seq::Generation,
            _ => Seq::Below(1 + self.number(12)),
        }
    }

    fn any_seq(&mut self) -> Seq {
        match self.below(32) {
            0 => Seq::Max,
            _ => self.seq(),
        }
    }

    fn place(&mut self) -> Place {
        match self.below(8) {
            0..3 => Place::Zero,
            3 if self.below(8) == 0 => Place::Max,
            _ => Place::Back(self.below(8)),
        }
    }

    fn batch(&mut self) -> Batch {
        let ids = match self.below(40) {
            0 => Ids::Stale,
            1 => Ids::Twice,
            2 | 3 => Ids::NextGeneration,
            4..8 => Ids::Gap,
            _ => Ids::Dense,
        };
        let sizes = (0..self.below(6)).map(|_| self.size()).collect();
        Batch { ids, sizes }
    }

    fn size(&mut self) -> usize {
        self.0.random_range(4..200)
    }

    fn limit(&mut self) -> ReadLimit {
        ReadLimit {
            count: self.one_of(&[1, 2, 3, 5, 100]),
            bytes: if self.below(3) == 0 {
                self.below(500)
            } else {
                usize::MAX
            },
        }
    }
}
