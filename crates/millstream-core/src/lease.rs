//! Who works on what: leases in the application's own database.
//!
//! A lease counts, it does not tell the time. Its holder raises a heartbeat; another instance takes
//! over when it saw no change for the lease's length, by its own monotonic clock. Safety never rests
//! on that: every transaction compares the epoch, which each take-over raises.

use std::fmt;

use async_trait::async_trait;

use crate::entry::{EntryId, Shard};
use crate::error::Error;
use crate::name::{AppName, DatabaseId, EventId, InstanceId, StreamName};

/// What a lease is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Applying what arrives.
    Consumer,
    /// Sending the outbox.
    Relay,
}

impl Role {
    /// The word for it, as tables and commands show it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Consumer => "consumer",
            Self::Relay => "relay",
        }
    }
}

/// One thing to read from or to write to, in order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feed {
    /// A shard of an owned stream.
    Owned(Shard),
    /// The shared stream of this name.
    Shared(StreamName),
}

impl Feed {
    /// The stream that it belongs to.
    pub fn stream(&self) -> &StreamName {
        match self {
            Self::Owned(shard) => &shard.stream,
            Self::Shared(stream) => stream,
        }
    }
}

impl fmt::Display for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owned(shard) => shard.fmt(f),
            Self::Shared(stream) => stream.fmt(f),
        }
    }
}

/// The last settled entry of a consumer, or the last numbered one of a relay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// Where it stands.
    pub at: EntryId,
    /// Its event id, if it has one.
    pub event_id: Option<EventId>,
}

/// The row that says who works on a feed, and how far they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRow {
    /// The feed.
    pub feed: Feed,
    /// Raised by each take-over.
    pub epoch: u64,
    /// Who holds it.
    pub owner: Option<InstanceId>,
    /// How far it is.
    pub checkpoint: Checkpoint,
}

/// The right to work on a feed until somebody else takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What for.
    pub role: Role,
    /// On what.
    pub feed: Feed,
    /// The epoch that it was taken with.
    pub epoch: u64,
    /// Who holds it.
    pub owner: InstanceId,
    /// How far the feed was when it was taken.
    pub checkpoint: Checkpoint,
}

impl Lease {
    /// The epoch that no holder has: a row's first one is 1.
    const EPOCH_NONE: u64 = 0;

    /// For an instance that competes with others for a shared stream: nobody holds that alone, and
    /// what keeps an event from being applied twice is the inbox.
    pub fn shared_out(stream: StreamName, owner: InstanceId) -> Self {
        Self {
            role: Role::Consumer,
            feed: Feed::Shared(stream),
            epoch: Self::EPOCH_NONE,
            owner,
            checkpoint: Checkpoint::default(),
        }
    }

    /// Whether it is none that one instance holds.
    pub fn is_shared_out(&self) -> bool {
        self.epoch == Self::EPOCH_NONE && matches!(self.feed, Feed::Shared(_))
    }
}

/// The counter that an instance raises while it lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// The instance.
    pub instance: InstanceId,
    /// What it works as.
    pub role: Role,
    /// Rises with every beat.
    pub count: u64,
}

/// Who a database says that it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Made when its tables were.
    pub database: DatabaseId,
    /// The application that it belongs to.
    pub application: AppName,
}

/// Leases and heartbeats in an application's database.
#[async_trait]
pub trait Leases: Send + Sync + fmt::Debug {
    /// Who the database is.
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](crate::error::ErrorKind::Misconfigured) when our tables are missing.
    async fn identity(&self) -> Result<Identity, Error>;

    /// Raises the instance's heartbeat and returns everybody's, its own included.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the database cannot be written;
    /// time in which that lasts says nothing about the others.
    async fn beat(&self, instance: &InstanceId, role: Role) -> Result<Vec<Heartbeat>, Error>;

    /// Makes rows for feeds that have none, at the beginning of each feed.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the database cannot be written.
    async fn register(&self, role: Role, feeds: &[Feed]) -> Result<(), Error>;

    /// All rows of a role.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the database cannot be read.
    async fn leases(&self, role: Role) -> Result<Vec<LeaseRow>, Error>;

    /// Takes the rows for the instance, all or none, if each still has the epoch that was seen.
    ///
    /// None when another instance was faster.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the database cannot be written.
    async fn acquire(
        &self,
        instance: &InstanceId,
        role: Role,
        seen: &[LeaseRow],
    ) -> Result<Option<Vec<Lease>>, Error>;

    /// Gives leases back, for others to take at once. Those that were lost already stay as they are.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the database cannot be written.
    async fn release(&self, leases: &[Lease]) -> Result<(), Error>;

    /// Removes an instance's heartbeat: its own when it stops, or a dead one's after the lease.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the database cannot be written.
    async fn forget(&self, instance: &InstanceId, role: Role) -> Result<(), Error>;

    /// How far the feed is, as the database has it; none when the lease is lost.
    ///
    /// Answers whether a transaction with unknown outcome was committed.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the database cannot be read.
    async fn checkpoint(&self, lease: &Lease) -> Result<Option<Checkpoint>, Error>;
}
