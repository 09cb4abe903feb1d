//! What programs are made of.
//!
//! Operations are symbolic: they name places in a stream, not ids, so that one means the same on both
//! sides, and still means something when others before it were left out.

use std::time::Duration;

use millstream_core::log::ReadLimit;

pub(super) const GROUPS: [&str; 2] = ["billing", "hr"];
pub(super) const CONSUMERS: [&str; 3] = ["1", "2", "3"];
pub(super) const DATABASES: [&str; 2] = ["d1", "d2"];
pub(super) const SHARDS: u16 = 2;

#[derive(Debug, Clone)]
pub(super) enum Operation {
    Log { shard: u16, operation: LogOperation },
    Queue(QueueOperation),
}

/// An operation on one shard, or on its stream.
#[derive(Debug, Clone)]
pub(super) enum LogOperation {
    Append {
        last: Last,
        batch: Batch,
    },
    Replace {
        judged: Last,
        base: Seq,
        batch: Batch,
    },
    Read {
        after: Seq,
        limit: ReadLimit,
    },
    Trim {
        floor: Seq,
    },
    PublishPosition {
        group: usize,
        database: usize,
        at: Seq,
    },
    Positions,
    ForgetPositions {
        group: usize,
    },
    Describe,
    Announce {
        shards: u16,
        subscribers: usize,
        count: u64,
    },
    Publishers {
        all: bool,
    },
    Acknowledge {
        size: usize,
    },
    Acknowledgments {
        after: Place,
        count: usize,
    },
}

/// An operation on the shared stream.
#[derive(Debug, Clone)]
pub(super) enum QueueOperation {
    Add {
        size: usize,
    },
    ReadGroup {
        member: MemberIndex,
        limit: ReadLimit,
    },
    Claim {
        member: MemberIndex,
        idle_min: Duration,
        after: Place,
        limit: ReadLimit,
    },
    History {
        member: MemberIndex,
        after: Place,
        limit: ReadLimit,
    },
    Ack {
        group: usize,
        entries: Vec<Place>,
    },
    Pending {
        group: usize,
        after: Place,
        count: usize,
    },
    Range {
        after: Place,
        limit: ReadLimit,
    },
    Describe,
    Groups,
    Consumers {
        group: usize,
    },
    ForgetConsumer {
        member: MemberIndex,
    },
    Trim {
        floor: Place,
    },
}

#[derive(Debug, Clone, Copy)]
pub(super) struct MemberIndex {
    pub(super) group: usize,
    pub(super) consumer: usize,
}

/// The id that a writer believes to be the last one of its shard.
#[derive(Debug, Clone, Copy)]
pub(super) enum Last {
    Right,
    Zero,
    Below,
    Above,
}

/// A place in a shard, by the last id that it held.
#[derive(Debug, Clone, Copy)]
pub(super) enum Seq {
    Zero,
    Last,
    Below(u64),
    Above(u64),
    Generation,
    Max,
}

/// Entries for a shard.
#[derive(Debug, Clone)]
pub(super) struct Batch {
    pub(super) ids: Ids,
    /// Bytes of each.
    pub(super) sizes: Vec<usize>,
}

/// How the ids of a batch go on from the one before it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ids {
    Dense,
    /// With a gap before the first.
    Gap,
    NextGeneration,
    /// The first is no higher than the one before it.
    Stale,
    /// The last one comes twice.
    Twice,
}

/// A place among entries whose ids the transport made, by the order in which they were added.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    Zero,
    /// Of this number, counted back from the newest.
    Back(usize),
    Max,
}

impl Operation {
    /// Its name, for reports.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Log { operation, .. } => match operation {
                LogOperation::Append { .. } => "append",
                LogOperation::Replace { .. } => "replace",
                LogOperation::Read { .. } => "read",
                LogOperation::Trim { .. } => "trim",
                LogOperation::PublishPosition { .. } => "publish_position",
                LogOperation::Positions => "positions",
                LogOperation::ForgetPositions { .. } => "forget_positions",
                LogOperation::Describe => "describe",
                LogOperation::Announce { .. } => "announce",
                LogOperation::Publishers { .. } => "publishers",
                LogOperation::Acknowledge { .. } => "acknowledge",
                LogOperation::Acknowledgments { .. } => "acknowledgments",
            },
            Self::Queue(operation) => match operation {
                QueueOperation::Add { .. } => "add",
                QueueOperation::ReadGroup { .. } => "read_group",
                QueueOperation::Claim { .. } => "claim",
                QueueOperation::History { .. } => "history",
                QueueOperation::Ack { .. } => "ack",
                QueueOperation::Pending { .. } => "pending",
                QueueOperation::Range { .. } => "range",
                QueueOperation::Describe => "describe_shared",
                QueueOperation::Groups => "groups",
                QueueOperation::Consumers { .. } => "consumers",
                QueueOperation::ForgetConsumer { .. } => "forget_consumer",
                QueueOperation::Trim { .. } => "trim_shared",
            },
        }
    }
}
