//! A log that is away in the middle of a batch.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;

use millstream::core::entry::{Entry, EntryId, Shard};
use millstream::core::error::{Error, ErrorKind};
use millstream::core::log::{Appended, Log};
use millstream_testkit::wrapped::{Wrapped, Wrapper};

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
    pub(crate) fn new(log: Arc<dyn Log>, when: When, calls: Range<usize>) -> Arc<Wrapped<Self>> {
        Arc::new(Wrapped(Self {
            log,
            when,
            calls,
            called: AtomicUsize::new(0),
        }))
    }

    /// Whether all of these appends were made.
    pub(crate) fn has_failed(&self) -> bool {
        self.called.load(Ordering::SeqCst) >= self.calls.end - 1
    }
}

#[async_trait]
impl Wrapper for Failing {
    fn log(&self) -> &dyn Log {
        &*self.log
    }

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
}
