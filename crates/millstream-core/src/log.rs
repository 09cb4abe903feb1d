//! The contract of owned streams: a log with one writer a shard.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::descriptor::Descriptor;
use crate::entry::{Entry, EntryId, Fields, Shard};
use crate::error::Error;
use crate::name::{AppName, DatabaseId, StreamName};

/// Where events of owned streams travel.
///
/// Every implementation passes the same suite (`millstream-testkit`, `suite::log`).
#[async_trait]
pub trait Log: Send + Sync + fmt::Debug {
    /// Appends the entries if the last id that the shard ever held is `last`.
    ///
    /// All of them are added, in their order, or none. Success means that they are as durable as the
    /// transport makes anything. After an error it is unknown whether they were added: appending the
    /// same again tells, since [`Appended::Mismatch`] then names the last of them.
    ///
    /// Ids must rise from `last`; the caller gives them.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the transport is away, or
    /// [full](Error::is_full).
    async fn append(
        &self,
        shard: &Shard,
        last: EntryId,
        entries: &[Entry],
    ) -> Result<Appended, Error>;

    /// Begins the shard anew if the last id that it ever held is `judged`: whatever it holds goes,
    /// `entries` take its place, and what is appended next follows the last of them, or `base` where
    /// there is none.
    ///
    /// All of it happens at once, or nothing does. The shard counts as if it had held everything up
    /// to `base`, and so does [`Description::added`], by the seqs. Published positions are gone: who
    /// holds one publishes it again. After an error it is unknown whether it happened, as with
    /// [`append`](Self::append).
    ///
    /// Ids must rise from `base`.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the transport is away, or
    /// [full](Error::is_full).
    async fn replace(
        &self,
        shard: &Shard,
        judged: EntryId,
        base: EntryId,
        entries: &[Entry],
    ) -> Result<Appended, Error>;

    /// Reads entries above `after`, in order, and waits up to `wait` for the first.
    ///
    /// Comes back empty when nothing arrived in time. An entry that another process appends wakes
    /// the reader too.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the transport is away.
    ///
    /// # Cancel safety
    ///
    /// Nothing is taken by reading, so dropping the future loses nothing.
    async fn read(
        &self,
        shard: &Shard,
        after: EntryId,
        limit: ReadLimit,
        wait: Duration,
    ) -> Result<Vec<Entry>, Error>;

    /// Shows the world how far a group has settled the shard. Never moves it down.
    ///
    /// # Errors
    ///
    /// [`Fenced`](crate::error::ErrorKind::Fenced) when another database holds the group: a clone
    /// must not move the original's position.
    async fn publish_position(&self, shard: &Shard, position: &Position) -> Result<(), Error>;

    /// The published positions of all groups of the shard.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the transport is away.
    async fn positions(&self, shard: &Shard) -> Result<Vec<Position>, Error>;

    /// Forgets the published position of a group, so that another database may hold it.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the transport is away.
    async fn forget_positions(&self, shard: &Shard, group: &AppName) -> Result<(), Error>;

    /// Removes entries below `floor` and says how many. The last id is not forgotten.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the transport is away.
    async fn trim(&self, shard: &Shard, floor: EntryId) -> Result<u64, Error>;

    /// What the shard holds. A shard that was never written to is empty.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the transport is away.
    async fn describe(&self, shard: &Shard) -> Result<Description, Error>;

    /// Tells consumers what an application publishes. The latest word counts.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the transport is away.
    async fn announce(&self, descriptor: &Descriptor) -> Result<(), Error>;

    /// The applications that publish to the stream, or to any stream.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the transport is away.
    async fn publishers(&self, stream: Option<&StreamName>) -> Result<Vec<Descriptor>, Error>;

    /// Leaves a message for the application that owns streams: a receipt, a registration, a request.
    ///
    /// A full transport takes it all the same. The last
    /// [`ACKNOWLEDGMENTS_MAX`](crate::limits::ACKNOWLEDGMENTS_MAX) or so are kept.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the transport is away.
    async fn acknowledge(&self, owner: &AppName, fields: &Fields) -> Result<(), Error>;

    /// Messages to the owner above `after`, in order, at most `count`; does not wait for any.
    ///
    /// Where the transport has lost them, and its last id is below `after`, all that there are.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the transport is away.
    async fn acknowledgments(
        &self,
        owner: &AppName,
        after: EntryId,
        count: usize,
    ) -> Result<Vec<Entry>, Error>;
}

/// What came of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// The entries are in the stream.
    Added,
    /// Nothing was added: the last id is another.
    Mismatch {
        /// The last id that the shard ever held.
        last: EntryId,
    },
}

/// How much one read may bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimit {
    /// At most this many entries.
    pub count: usize,
    /// No further entry once this many bytes are read. The first entry always comes.
    pub bytes: usize,
}

/// How far a group has settled a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The application.
    pub group: AppName,
    /// The database that holds its checkpoints.
    pub database: DatabaseId,
    /// The last settled entry.
    pub at: EntryId,
}

/// What a stream's shard holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Description {
    /// Entries that are there.
    pub length: u64,
    /// Entries that were ever added.
    pub added: u64,
    /// The first entry that is there.
    pub first: Option<EntryId>,
    /// The last id that the shard ever held; [`EntryId::ZERO`] before the first.
    pub last: EntryId,
}
