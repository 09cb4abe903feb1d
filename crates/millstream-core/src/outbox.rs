//! The contract of a publisher's database.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::acknowledgment::Exception;
use crate::clock::Timestamp;
use crate::entry::{EntryId, Shard};
use crate::error::Error;
use crate::event::{Json, Targets};
use crate::lease::{Checkpoint, Lease, Leases};
use crate::name::{
    AppName, DatabaseId, EntityId, EventId, EventType, PartitionKey, StreamName, TenantId,
};

/// Where events come from: rows that applications write in their own transactions.
#[async_trait]
pub trait Outbox: Leases {
    /// Gives unsent rows of a stream their shard and seq, in order, in one transaction.
    ///
    /// `tops` are the leases on all shards of the stream, in their order. Epoch and checkpoint of
    /// those that get rows are compared, and their checkpoints raised. That numbering is the "sent"
    /// mark: a row that has one belongs to the stream, whether it was appended yet or not. `now` is
    /// noted as the time of it, for [`prune`](Self::prune).
    ///
    /// # Errors
    ///
    /// [`Fenced`](crate::error::ErrorKind::Fenced) when another relay has taken the stream;
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the database is away.
    async fn number(
        &self,
        tops: &[Lease],
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<OutboxRow>, Error>;

    /// Numbered rows of a shard above `after`, in order.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the database cannot be read.
    async fn numbered(
        &self,
        shard: &Shard,
        after: EntryId,
        limit: usize,
    ) -> Result<Vec<OutboxRow>, Error>;

    /// The event that has this number in the shard, if there is one.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the database cannot be read.
    async fn checkpoint_at(&self, shard: &Shard, at: EntryId) -> Result<Option<Checkpoint>, Error>;

    /// How many rows of a stream are waiting for a number.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the database cannot be read.
    async fn unsent(&self, stream: &StreamName) -> Result<u64, Error>;

    /// Writes events into the outbox, all or none, in a transaction of its own.
    ///
    /// For events that accompany no rows; an application that changes rows inserts in the same
    /// transaction. An event whose id is in the outbox already is left out, and counted.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the database is away.
    async fn insert(&self, stream: &StreamName, events: &[NewEvent]) -> Result<Inserted, Error>;

    /// Makes the stream the one that rows go to which name none, those that wait included.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the database is away.
    async fn adopt(&self, stream: &StreamName) -> Result<(), Error>;

    /// How many rows wait for a stream that is none of these, so that nobody will send them.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the database cannot be read.
    async fn stranded(&self, streams: &[StreamName]) -> Result<u64, Error>;

    /// Waits until a row of the stream waits for a number, at most for `wait`.
    async fn wait(&self, stream: &StreamName, wait: Duration);

    /// The applications that follow the stream, by name.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the database cannot be read.
    async fn subscribers(&self, stream: &StreamName) -> Result<Vec<Registered>, Error>;

    /// Registers a subscriber, or puts its registration in the place of an earlier one, if all `tops`
    /// are as they should be. From that commit on it holds the floor.
    ///
    /// # Errors
    ///
    /// [`Fenced`](crate::error::ErrorKind::Fenced) when another relay has taken the stream;
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the database is away.
    async fn subscribe(&self, tops: &[Lease], subscriber: &Registered) -> Result<(), Error>;

    /// Writes how far registered subscribers are, under the same condition. One that was removed
    /// meanwhile, or is another database now, stays as it is.
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    async fn record_receipts(&self, tops: &[Lease], changed: &[Registered]) -> Result<(), Error>;

    /// Removes a subscriber, so that it holds nothing any more, and says whether there was one.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the database is away.
    async fn unsubscribe(&self, stream: &StreamName, application: &AppName) -> Result<bool, Error>;

    /// Removes numbered rows of the shard from its beginning, as long as they are at or below
    /// `through` and were numbered before `numbered_before`, at most `limit` of them. Returns where
    /// the shard is pruned to then: rows up to there are gone.
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    async fn prune(
        &self,
        top: &Lease,
        through: EntryId,
        numbered_before: Timestamp,
        limit: usize,
    ) -> Result<EntryId, Error>;

    /// Where each shard of the stream is pruned to, in their order.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the database cannot be read.
    async fn pruned(&self, stream: &StreamName) -> Result<Vec<EntryId>, Error>;

    /// The last number of an older generation in each shard of the stream, in their order, whether its
    /// row was pruned or not: what is at or below it is not in the current generation.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the database cannot be read.
    async fn left_behind(&self, tops: &[Lease]) -> Result<Vec<EntryId>, Error>;

    /// Begins a new generation of all shards, in one transaction: rows above `settled`, given for each
    /// shard, lose their numbers and will get new ones, from seq 1 on; subscribers count as having
    /// settled everything before it. The generation is above all of this database, and above `above`:
    /// others may have seen one that a restored database knows nothing of. Returns the new
    /// checkpoints.
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    async fn begin_generation(
        &self,
        tops: &[Lease],
        settled: &[EntryId],
        above: u64,
    ) -> Result<Vec<Checkpoint>, Error>;
}

/// A subscriber as the publisher's database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// The application.
    pub application: AppName,
    /// The database that holds its checkpoints.
    pub database: DatabaseId,
    /// How far it is, for each shard in their order.
    pub shards: Vec<Progress>,
}

/// How far a subscriber has settled a shard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// It follows what comes after this.
    pub base: EntryId,
    /// Everything up to here is settled.
    pub settled: Checkpoint,
    /// Events up to there that are not processed, as far as it told them.
    pub exceptions: Vec<Exception>,
    /// How many exceptions there are besides.
    pub omitted: u64,
}

/// What came of inserting events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Inserted {
    /// New ones.
    pub added: u64,
    /// Those that were there before.
    pub repeated: u64,
}

/// A row of the outbox, as it was written: other programs write it too, so nothing in it is trusted.
#[derive(Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// The shard that it was given.
    pub shard: u16,
    /// Generation and seq that it was given.
    pub at: EntryId,
    /// The event before it in the shard.
    pub prev: Option<Bytes>,
    /// `event_id`
    pub event_id: Bytes,
    /// `event_type`
    pub event_type: Bytes,
    /// `version`
    pub version: Bytes,
    /// `target_application`
    pub target: Bytes,
    /// `tenant_id`
    pub tenant: Bytes,
    /// `entity_id`
    pub entity: Bytes,
    /// `partition_key`, or the entity id where it is not set
    pub partition_key: Bytes,
    /// `entity_version`
    pub entity_version: u64,
    /// `occurred_at`
    pub timestamp: Bytes,
    /// `published_by`
    pub published_by: Bytes,
    /// `event_data`
    pub data: Bytes,
    /// `metadata`
    pub metadata: Bytes,
}

/// Shows numbers and sizes; what the application wrote may be what must not reach a log.
impl fmt::Debug for OutboxRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct Size(usize);

        impl fmt::Debug for Size {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{} bytes", self.0)
            }
        }

        // Taken apart in full, so that no later field is forgotten.
        let Self {
            shard,
            at,
            prev,
            event_id,
            event_type,
            version,
            target,
            tenant,
            entity,
            partition_key,
            entity_version,
            timestamp,
            published_by,
            data,
            metadata,
        } = self;
        let size = |bytes: &Bytes| Size(bytes.len());
        f.debug_struct("OutboxRow")
            .field("shard", shard)
            .field("at", at)
            .field("prev", &prev.as_ref().map(size))
            .field("event_id", &size(event_id))
            .field("event_type", &size(event_type))
            .field("version", &size(version))
            .field("target", &size(target))
            .field("tenant", &size(tenant))
            .field("entity", &size(entity))
            .field("partition_key", &size(partition_key))
            .field("entity_version", entity_version)
            .field("timestamp", &size(timestamp))
            .field("published_by", &size(published_by))
            .field("data", &size(data))
            .field("metadata", &size(metadata))
            .finish()
    }
}

/// An event to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// What happened.
    pub event_type: EventType,
    /// The customer that it belongs to.
    pub tenant: TenantId,
    /// The entity that it is about.
    pub entity: EntityId,
    /// What it says.
    pub data: Json,
    /// Its identity; a UUIDv7 is made where none is given.
    pub id: Option<EventId>,
    /// The applications that it is for. All by default.
    pub target: Targets,
    /// What must stay in order, if not the entity.
    pub partition_key: Option<PartitionKey>,
    /// The version of its schema. `1.0` by default.
    pub version: String,
    /// Who or what caused it. `system` by default.
    pub published_by: String,
    /// What accompanies it. `{}` by default.
    pub metadata: Json,
    /// When it happened, as RFC 3339 text. Now by default.
    pub timestamp: Option<String>,
    /// The application in which it happened, where that is not the publisher's own: for the shared
    /// stream only.
    pub source: Option<AppName>,
}

impl NewEvent {
    /// An event with everything else at its default.
    pub fn new(event_type: EventType, tenant: TenantId, entity: EntityId, data: Json) -> Self {
        Self {
            event_type,
            tenant,
            entity,
            data,
            id: None,
            target: Targets::All,
            partition_key: None,
            version: crate::event::VERSION_DEFAULT.into(),
            published_by: crate::event::PUBLISHED_BY_DEFAULT.into(),
            metadata: Json::empty(),
            timestamp: None,
            source: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_in_a_log_shows_sizes_only() {
        let hidden = || Bytes::from_static(b"hunter2");
        let row = OutboxRow {
            shard: 3,
            at: EntryId::new(1, 7),
            prev: Some(hidden()),
            event_id: hidden(),
            event_type: hidden(),
            version: hidden(),
            target: hidden(),
            tenant: hidden(),
            entity: hidden(),
            partition_key: hidden(),
            entity_version: 2,
            timestamp: hidden(),
            published_by: hidden(),
            data: hidden(),
            metadata: hidden(),
        };
        let shown = format!("{row:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("shard: 3, at: EntryId"), "{shown}");
        assert!(shown.contains("prev: Some(7 bytes)"), "{shown}");
        assert!(shown.contains("data: 7 bytes"), "{shown}");
    }
}
