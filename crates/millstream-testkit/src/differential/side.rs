use std::fmt;
use std::sync::Arc;

use millstream_core::entry::{EntryId, Shard};
use millstream_core::log::Log;
use millstream_core::name::{AppName, StreamName};
use millstream_core::queue::Queue;

use crate::sample::{app, stream};

use super::answer::{Answer, Ordinal};
use super::operation::{Operation, Place, SHARDS};

/// A transport, and what failures call it.
#[derive(Clone)]
pub struct Side {
    pub(super) name: &'static str,
    pub(super) log: Arc<dyn Log>,
    pub(super) queue: Arc<dyn Queue>,
}

impl Side {
    /// One handle that implements both contracts.
    pub fn new<H: Log + Queue + 'static>(name: &'static str, handle: H) -> Self {
        let handle = Arc::new(handle);
        Self::of(name, handle.clone(), handle)
    }

    /// A log and a queue.
    pub fn of(name: &'static str, log: Arc<dyn Log>, queue: Arc<dyn Queue>) -> Self {
        Self { name, log, queue }
    }
}

impl fmt::Debug for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// What one program works on: streams and an owner that no other program has.
#[derive(Debug, Clone)]
pub(super) struct Names {
    pub(super) owned: StreamName,
    pub(super) owner: AppName,
    pub(super) shared: StreamName,
}

impl Names {
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            owned: stream(&format!("{prefix}-owned")),
            owner: app(&format!("{prefix}-crm")),
            shared: stream(&format!("{prefix}-shared")),
        }
    }

    pub(super) fn shard(&self, number: u16) -> Shard {
        Shard {
            stream: self.owned.clone(),
            owner: self.owner.clone(),
            number,
        }
    }
}

/// A side in the course of one program.
#[derive(Debug)]
pub(super) struct Course {
    pub(super) side: Side,
    pub(super) names: Names,
    /// The last id of each shard, by the answers so far.
    pub(super) last: [EntryId; SHARDS as usize],
    /// Ids of the shared stream, in the order in which they were given.
    pub(super) added: Ids,
}

impl Course {
    pub(super) fn new(side: Side, names: Names) -> Self {
        Self {
            side,
            names,
            last: [EntryId::ZERO; SHARDS as usize],
            added: Ids::default(),
        }
    }

    pub(super) async fn step(&mut self, operation: &Operation) -> Answer {
        match operation {
            Operation::Log { shard, operation } => self.step_log(*shard, operation).await,
            Operation::Queue(operation) => self.step_queue(operation).await,
        }
    }
}

/// Ids in the order in which a transport made them.
#[derive(Debug, Default)]
pub(super) struct Ids(pub(super) Vec<EntryId>);

impl Ids {
    pub(super) fn push(&mut self, id: EntryId) -> Ordinal {
        self.0.push(id);
        self.ordinal(id)
    }

    /// The place of an id. One that does not rise above those before it is not found.
    pub(super) fn ordinal(&self, id: EntryId) -> Ordinal {
        if id == EntryId::ZERO {
            return Ordinal::Zero;
        }
        match self.0.binary_search(&id) {
            Ok(index) => Ordinal::Number(index + 1),
            Err(_) => Ordinal::Unknown(id),
        }
    }

    pub(super) fn id(&self, place: Place) -> EntryId {
        match place {
            Place::Zero => EntryId::ZERO,
            Place::Max => EntryId::new(u64::MAX, u64::MAX),
            Place::Back(back) => {
                let newest = self.0.len().checked_sub(back + 1);
                newest.map_or(EntryId::ZERO, |index| self.0[index])
            }
        }
    }
}
