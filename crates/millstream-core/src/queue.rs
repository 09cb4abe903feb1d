//! The contract of the shared stream: a queue with consumer groups, as Redis Streams have them.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::entry::{Entry, EntryId, Fields};
use crate::error::Error;
use crate::log::{Description, ReadLimit};
use crate::name::{AppName, InstanceId, StreamName};

/// Where events of the shared stream travel: anybody adds, each group gets each entry.
///
/// Weaker than a [`Log`](crate::log::Log): a publisher that dies between its own commit and the
/// addition has lost the event, and order holds only as far as a group has one reader.
///
/// Every implementation passes the same suite (`millstream-testkit`, `suite::queue`).
#[async_trait]
pub trait Queue: Send + Sync + fmt::Debug {
    /// Adds an entry and returns the id that it was given, above all earlier ones.
    ///
    /// After an error it is unknown whether it was added.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the transport is away.
    async fn add(&self, stream: &StreamName, fields: &Fields) -> Result<EntryId, Error>;

    /// Hands the group's next entries to a consumer, and waits up to `wait` for the first.
    ///
    /// They are pending until they are acked. A group that does not exist is made, from the first
    /// entry on.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the transport is away.
    ///
    /// # Cancel safety
    ///
    /// Entries handed over by a dropped call stay pending; [`claim`](Self::claim) brings them back.
    async fn read_group(
        &self,
        stream: &StreamName,
        member: &Member,
        limit: ReadLimit,
        wait: Duration,
    ) -> Result<Vec<Entry>, Error>;

    /// Takes over pending entries above `after` that have been idle for `idle_min`, whoever holds
    /// them, the member itself included.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the transport is away.
    async fn claim(
        &self,
        stream: &StreamName,
        member: &Member,
        idle_min: Duration,
        after: EntryId,
        limit: ReadLimit,
    ) -> Result<Claimed, Error>;

    /// The member's own pending entries above `after`, without counting as handed out again where the
    /// transport can help it.
    ///
    /// After a read whose answer was lost, this is where its entries are.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the transport is away.
    async fn history(
        &self,
        stream: &StreamName,
        member: &Member,
        after: EntryId,
        limit: ReadLimit,
    ) -> Result<Claimed, Error>;

    /// Confirms entries for the group, whoever holds them, and says how many were pending.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the transport is away.
    async fn ack(
        &self,
        stream: &StreamName,
        group: &AppName,
        entries: &[EntryId],
    ) -> Result<u64, Error>;

    /// Pending entries of the group above `after`, in order, at most `count`.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the transport is away.
    async fn pending(
        &self,
        stream: &StreamName,
        group: &AppName,
        after: EntryId,
        count: usize,
    ) -> Result<Vec<PendingEntry>, Error>;

    /// Reads entries above `after` without any group.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the transport is away.
    async fn range(
        &self,
        stream: &StreamName,
        after: EntryId,
        limit: ReadLimit,
    ) -> Result<Vec<Entry>, Error>;

    /// What the shared stream of this name holds.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the transport is away.
    async fn describe_shared(&self, stream: &StreamName) -> Result<Description, Error>;

    /// The groups of the shared stream.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the transport is away.
    async fn groups(&self, stream: &StreamName) -> Result<Vec<Group>, Error>;

    /// The consumers that the group knows, in the order of their names.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the transport is away.
    async fn consumers(&self, stream: &StreamName, group: &AppName)
    -> Result<Vec<Consumer>, Error>;

    /// Makes the group forget a consumer, and says whether it did: one that still holds pending
    /// entries stays, since they would never be handed out again.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the transport is away.
    async fn forget_consumer(&self, stream: &StreamName, member: &Member) -> Result<bool, Error>;

    /// Removes entries below `floor` and says how many. A pending entry that is removed shows as
    /// gone when it is claimed.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the transport is away.
    async fn trim_shared(&self, stream: &StreamName, floor: EntryId) -> Result<u64, Error>;
}

/// A reader of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The group: the application.
    pub group: AppName,
    /// The consumer within it: the instance.
    pub consumer: InstanceId,
}

/// What a claim brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claimed {
    /// The entries, now pending for the member.
    pub entries: Vec<Entry>,
    /// Ids that were pending while their entries had been removed. They are no longer pending.
    pub gone: Vec<EntryId>,
    /// Where to go on; none when everything has been looked at.
    pub next: Option<EntryId>,
}

/// An entry handed out and not acked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingEntry {
    /// The entry.
    pub id: EntryId,
    /// Who holds it.
    pub consumer: InstanceId,
    /// How long since it was handed out, by the transport's clock.
    pub idle: Duration,
    /// How often it was handed out.
    pub delivery_count: u64,
}

/// A consumer that a group knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumer {
    /// Its name.
    pub name: InstanceId,
    /// Entries handed to it and not acked.
    pub pending: u64,
    /// How long since it last asked for anything, by the transport's clock.
    pub idle: Duration,
}

/// A consumer group of the shared stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The application.
    pub name: AppName,
    /// The last entry handed out.
    pub last_delivered: EntryId,
    /// Entries handed out and not acked.
    pub pending: u64,
    /// Entries not handed out yet.
    pub lag: u64,
}
