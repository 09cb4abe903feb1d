//! A log with a defect.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;

use millstream::core::entry::{Entry, EntryId, Shard};
use millstream::core::error::Error;
use millstream::core::log::{Appended, Log, Position};
use millstream_testkit::wrapped::{Wrapped, Wrapper};

/// Panics in the first append and in the first publication of a position.
#[derive(Debug)]
pub(crate) struct Panicking {
    log: Arc<dyn Log>,
    appended: AtomicBool,
    published: AtomicBool,
}

impl Panicking {
    pub(crate) fn new(log: Arc<dyn Log>) -> Arc<Wrapped<Self>> {
        Arc::new(Wrapped(Self {
            log,
            appended: AtomicBool::new(false),
            published: AtomicBool::new(false),
        }))
    }

    /// Whether it has, in both places.
    pub(crate) fn has_panicked(&self) -> bool {
        self.appended.load(Ordering::SeqCst) && self.published.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Wrapper for Panicking {
    fn log(&self) -> &dyn Log {
        &*self.log
    }

    async fn append(
        &self,
        shard: &Shard,
        last: EntryId,
        entries: &[Entry],
    ) -> Result<Appended, Error> {
        assert!(self.appended.swap(true, Ordering::SeqCst), "on purpose");
        self.log.append(shard, last, entries).await
    }

    async fn publish_position(&self, shard: &Shard, position: &Position) -> Result<(), Error> {
        assert!(self.published.swap(true, Ordering::SeqCst), "on purpose");
        self.log.publish_position(shard, position).await
    }
}
