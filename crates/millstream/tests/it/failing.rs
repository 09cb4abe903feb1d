//! A log that is away in the middle of a batch.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use millstream::core::entry::{Entry, EntryId, Shard};
use millstream::core::error::{Error, ErrorKind};
use millstream::core::log::{Appended, Description, Descriptor, Log, Position, ReadLimit};
use millstream::core::name::{AppName, StreamName};

/// When the log is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// Nothing was appended.
    Before,
    /// It was appended, and the answer got lost.
    After,
}

/// Fails in some of its appends, counted from 1.
#[derive(Debug)]
pub(crate) struct Failing {
    log: Arc<dyn Log>,
    when: When,
    calls: Range<usize>,
    called: AtomicUsize,
}

impl Failing {
    pub(crate) fn new(log: Arc<dyn Log>, when: When, calls: Range<usize>) -> Arc<Self> {
        Arc::new(Self {
            log,
            when,
            calls,
            called: AtomicUsize::new(0),
        })
    }

    /// Whether all of these appends were made.
    pub(crate) fn has_failed(&self) -> bool {
        self.called.load(Ordering::SeqCst) >= self.calls.end - 1
    }
}

#[async_trait]
impl Log for Failing {
    async fn append(
        &self,
        shard: &Shard,
        last: EntryId,
        entries: &[Entry],
    ) -> Result<Appended, Error> {
        let call = self.called.fetch_add(1, Ordering::SeqCst) + 1;
        let away = self.calls.contains(&call);
        if !away || self.when == When::After {
            let appended = self.log.append(shard, last, entries).await?;
            if !away {
                return Ok(appended);
            }
        }
        Err(Error::new(ErrorKind::Unavailable, "away on purpose"))
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
