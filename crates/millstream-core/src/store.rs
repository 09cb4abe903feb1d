//! The contract of a consumer's database.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::acknowledgment::Exception;
use crate::clock::Timestamp;
use crate::delivery::{Counts, Delivery, Outcome, Reason};
use crate::entry::{EntryId, Shard};
use crate::error::Error;
use crate::lease::{Checkpoint, Feed, Lease, Leases};
use crate::name::{AppName, EventId};
use crate::value::ColumnKind;

/// Where events land: an application's own tables, with our bookkeeping beside them.
#[async_trait]
pub trait Store: Leases {
    /// What the named tables look like, in the same order; none for a table that does not exist.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the database cannot be read.
    async fn tables(&self, names: &[Arc<str>]) -> Result<Vec<Option<Table>>, Error>;

    /// The event types that code handles, with the transaction open.
    fn handled(&self) -> Vec<String>;

    /// Applies deliveries of one feed in their order, in one transaction with its checkpoint.
    ///
    /// The transaction begins by comparing epoch and checkpoint with `lease` and `batch.from`, and
    /// sets the checkpoint to `batch.to`. Within it each delivery ends: applied, skipped, or parked
    /// together with those behind it. After success all of it is durable; after an error none of it
    /// happened, but for a connection lost during the commit, which
    /// [`checkpoint`](Leases::checkpoint) answers.
    ///
    /// On the shared stream deliveries may be older than the checkpoint, and events whose id is in the
    /// inbox change nothing. Nor do they on an owned stream from its second generation on, which may bring
    /// again what the one before brought. Instances that compete for a shared stream are each somewhere
    /// else: nothing is compared there.
    ///
    /// An event that conflicts with other rows, for lack of its parent or because of a unique value, is
    /// parked as retrying; one that can never be applied as dead. With `batch.again` the deliveries are
    /// parked events that [`waiting`](Self::waiting) gave, and those that are still there and in their
    /// turn end anew.
    ///
    /// # Errors
    ///
    /// [`Fenced`](crate::error::ErrorKind::Fenced) when epoch or checkpoint differ;
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the database is away, locked or
    /// full; [`Misconfigured`](crate::error::ErrorKind::Misconfigured) when a table, a column or a
    /// right is missing; [`Outdated`](crate::error::ErrorKind::Outdated) when a table is not declared as
    /// it was when the changes were planned, also where an event fails for that. Errors of one event are
    /// outcomes, not errors.
    async fn apply(&self, lease: &Lease, batch: &Batch) -> Result<Applied, Error>;

    /// What of a feed is to be tried again: events behind the number `after` that are parked, not dead,
    /// and the first of their key, with what stands behind each; the earliest `limit` of all these.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the database cannot be read.
    async fn waiting(
        &self,
        feed: &Feed,
        after: i64,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, Error>;

    /// Parked and dead events in the order in which they must be settled.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the database cannot be read.
    async fn dead_letters(&self, query: &DeadLetterQuery) -> Result<Vec<DeadLetter>, Error>;

    /// Events of an owned stream's shard that are parked or dead, the earliest `limit` of them, and
    /// how many there are in all.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the database cannot be read.
    async fn exceptions(&self, shard: &Shard, limit: usize)
    -> Result<(Vec<Exception>, u64), Error>;

    /// Removes rows of a feed from the inbox that are old and settled, among the first `limit` behind
    /// `old.after`. What is parked stays.
    ///
    /// `old` has to leave what may come again: of the shared stream nothing else tells a repeat, nor of
    /// an owned one what a new generation brings again.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the database cannot be written. Some of
    /// the rows may have gone.
    async fn prune_inbox(&self, feed: &Feed, old: &Old, limit: usize) -> Result<Pruned, Error>;

    /// How an event of an application ended here; none if it is not settled yet, or its row has gone.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the database cannot be read.
    async fn outcome(&self, source: &AppName, event: &EventId) -> Result<Option<Outcome>, Error>;

    /// How many incoming events ended which way, over the whole inbox.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the database cannot be read.
    async fn counts(&self) -> Result<Counts, Error>;
}

/// Deliveries of one feed for one transaction.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The checkpoint that the batch starts from.
    pub from: Checkpoint,
    /// The checkpoint after it; above the last delivery where entries were passed over.
    pub to: Checkpoint,
    /// What is to be settled, in order. Passed-over entries are not among them.
    pub deliveries: Arc<[Delivery]>,
    /// When the transaction was begun.
    pub applied_at: Timestamp,
    /// Set where the deliveries are parked events that are tried again: the checkpoint stays then.
    pub again: Option<Again>,
    /// Set where a delivery stands in the way of all others: it is parked as blocked for this reason, to be
    /// tried again, and not tried now.
    pub set_aside: Option<Reason>,
}

impl Batch {
    /// Its two halves, for transactions of their own. It has two deliveries at least.
    #[must_use]
    pub fn halves(&self) -> (Self, Self) {
        let middle = self.deliveries.len() / 2;
        let (left, right) = self.deliveries.split_at(middle);
        let (first, second) = match &self.again {
            None => (None, None),
            Some(again) => {
                let part = |numbers: &[i64]| Again {
                    numbers: numbers.into(),
                    dead_before: again.dead_before,
                };
                let (left, right) = again.numbers.split_at(middle);
                (Some(part(left)), Some(part(right)))
            }
        };
        // What is tried again does not move the checkpoint, and on the shared stream older entries than it
        // come.
        let between = match (&self.again, left.last()) {
            (None, Some(last)) if last.entry > self.from.at => Checkpoint {
                at: last.entry,
                event_id: last.event_id().cloned(),
            },
            (None, _) => self.from.clone(),
            (Some(_), _) => self.to.clone(),
        };
        let half = |from: &Checkpoint, to: &Checkpoint, deliveries: &[Delivery], again| Self {
            from: from.clone(),
            to: to.clone(),
            deliveries: deliveries.into(),
            applied_at: self.applied_at,
            again,
            set_aside: self.set_aside.clone(),
        };
        (
            half(&self.from, &between, left, first),
            half(&between, &self.to, right, second),
        )
    }
}

/// Parked events that are tried again.
#[derive(Debug, Clone)]
pub struct Again {
    /// Their numbers among the dead letters, in the order of the deliveries: rising.
    pub numbers: Arc<[i64]>,
    /// What was parked before this is dead if it conflicts once more, unless it was tried less often
    /// than [`CONFLICT_TRIES_MIN`](crate::limits::CONFLICT_TRIES_MIN).
    pub dead_before: Timestamp,
}

/// What a transaction settled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Applied {
    /// How the deliveries ended. Of parked events that were tried again, only those that are not as
    /// they were.
    pub counts: Counts,
    /// How these parked events stood before.
    pub were: Counts,
    /// Deliveries of the shared stream whose event had been settled before.
    pub repeated: u64,
    /// How long the transaction held its locks: what the next one's size is chosen by.
    pub took: Duration,
}

impl Applied {
    /// Adds what another transaction settled.
    pub fn add(&mut self, more: &Self) {
        self.counts.merge(&more.counts);
        self.were.merge(&more.were);
        self.repeated += more.repeated;
        self.took += more.took;
    }
}

/// Which rows of an inbox are old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Old {
    /// Behind this entry.
    pub after: EntryId,
    /// Up to this one.
    pub through: EntryId,
    /// Of transactions that were begun before.
    pub applied_before: Timestamp,
}

/// What was removed from an inbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// So many rows.
    pub removed: u64,
    /// There may be more behind this entry; none if not.
    pub next: Option<EntryId>,
}

/// A table of the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its columns.
    pub columns: Vec<Column>,
    /// The sets of columns that identify a row: primary key and unique indexes.
    pub unique: Vec<Vec<Arc<str>>>,
    /// Whether changes of it reach other rows: triggers, or foreign keys from or to it.
    pub related: bool,
    /// A number that stands for how it is declared: another one once the table was altered.
    pub version: u64,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: Arc<str>,
    /// What it takes.
    pub kind: ColumnKind,
    /// Whether the database computes it, so that it cannot be written.
    pub generated: bool,
    /// Whether an insert must name it: NOT NULL without a default.
    pub required: bool,
    /// Whether it may store different values as equal ones, such as the texts `007` and `7`.
    pub bends: bool,
}

/// Which dead letters to show.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeadLetterQuery {
    /// Only above this number.
    pub after: i64,
    /// At most this many.
    pub limit: usize,
    /// Only the one with this number.
    pub number: Option<i64>,
}

/// An event that could not be applied, or waits behind one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its number in this database.
    pub number: i64,
    /// Where it came from.
    pub feed: Feed,
    /// Its entry there.
    pub entry: EntryId,
    /// The event id, if it could be read.
    pub event_id: Option<String>,
    /// The event type, if it could be read.
    pub event_type: Option<String>,
    /// The tenant, if it could be read.
    pub tenant: Option<String>,
    /// The entity's key, if it could be read.
    pub key: Option<String>,
    /// Retrying, blocked or dead.
    pub outcome: Outcome,
    /// What went wrong; for a blocked one, what it waits behind.
    pub reason: String,
    /// Tries so far.
    pub attempts: u32,
    /// When it was parked.
    pub parked_at: Timestamp,
    /// The fields as they were read.
    pub raw: crate::entry::Fields,
}
