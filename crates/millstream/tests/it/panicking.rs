//! A log with a defect.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use millstream::core::entry::{Entry, EntryId, Shard};
use millstream::core::error::Error;
use millstream::core::log::{Appended, Description, Descriptor, Log, Position, ReadLimit};
use millstream::core::name::{AppName, StreamName};

/// Panics in the first append and in the first publication of a position.
#[derive(Debug)]
pub(crate) struct Panicking {
    log: Arc<dyn Log>,
    appended: AtomicBool,
    published: AtomicBool,
}

impl Panicking {
    pub(crate) fn new(log: Arc<dyn Log>) -> Arc<Self> {
        Arc::new(Self {
            log,
            appended: AtomicBool::new(false),
            published: AtomicBool::new(false),
        })
    }

    /// Whether it has, in both places.
    pub(crate) fn has_panicked(&self) -> bool {
        self.appended.load(Ordering::SeqCst) && self.published.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Log for Panicking {
    async fn append(
        &self,
        shard: &Shard,
        last: EntryId,
        entries: &[Entry],
    ) -> Result<Appended, Error> {
        assert!(self.appended.swap(true, Ordering::SeqCst), "on purpose");
        self.log.append(shard, last, entries).await
    }

    async fn read(
        &self,
        shard: &Shard,
        after: EntryId,
        limit: ReadLimit,
        wait: Duration,
    ) -> Result<Vec<Entry>, Error> {
        self.log.read(shard, after, limit, wait).await
    }

    async fn publish_position(&self, shard: &Shard, position: &Position) -> Result<(), Error> {
        assert!(self.published.swap(true, Ordering::SeqCst), "on purpose");
        self.log.publish_position(shard, position).await
    }

    async fn positions(&self, shard: &Shard) -> Result<Vec<Position>, Error> {
        self.log.positions(shard).await
    }

    async fn forget_positions(&self, shard: &Shard, group: &AppName) -> Result<(), Error> {
        self.log.forget_positions(shard, group).await
    }

    async fn trim(&self, shard: &Shard, floor: EntryId) -> Result<u64, Error> {
        self.log.trim(shard, floor).await
    }

    async fn describe(&self, shard: &Shard) -> Result<Description, Error> {
        self.log.describe(shard).await
    }

    async fn announce(&self, descriptor: &Descriptor) -> Result<(), Error> {
        self.log.announce(descriptor).await
    }

    async fn publishers(&self, stream: Option<&StreamName>) -> Result<Vec<Descriptor>, Error> {
        self.log.publishers(stream).await
    }
}
