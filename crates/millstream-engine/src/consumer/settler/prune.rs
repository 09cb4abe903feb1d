//! Old rows of the inbox, which nothing needs any more.

use std::ops::RangeInclusive;
use std::time::Duration;

use tokio::time::Instant;
use tracing::debug;

use millstream_core::clock::Timestamp;
use millstream_core::entry::EntryId;
use millstream_core::lease::Feed;
use millstream_core::store::Old;

use super::Settler;

/// Rows that are looked at in one go, and how long it may go on at a time.
const ROWS_MAX: usize = 1_000;
const TURN_MAX: Duration = Duration::from_millis(50);

/// How often a feed looks for old rows: a tenth of the time that they are kept, within these.
const INTERVAL: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(60);

/// When a feed prunes its inbox, and from where on.
#[derive(Debug)]
pub(in crate::consumer) struct Pruning {
    retention: Duration,
    due: Instant,
    /// Where the last look ended that did not get to the end.
    after: Option<EntryId>,
}

impl Pruning {
    pub(in crate::consumer) fn new(retention: Duration, now: Instant) -> Self {
        Self {
            retention,
            due: now,
            after: None,
        }
    }

    fn interval(&self) -> Duration {
        (self.retention / 10).clamp(*INTERVAL.start(), *INTERVAL.end())
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.retention.as_millis()).unwrap_or(u64::MAX)
    }
}

impl Settler {
    /// Removes old rows of the inbox, if it is time. An error is told, and it is tried again later.
    pub(in crate::consumer) async fn prune(&mut self) {
        let begun = Instant::now();
        if begun < self.pruning.due {
            return;
        }
        self.pruning.due = begun + self.pruning.interval();
        let Some(mut old) = self.old().await else {
            return;
        };
        loop {
            let pruned = self
                .store
                .prune_inbox(&self.lease.feed, &old, ROWS_MAX)
                .await;
            match pruned {
                Ok(pruned) => {
                    self.pruning.after = pruned.next;
                    let Some(next) = pruned.next else { return };
                    old.after = next;
                }
                Err(error) => {
                    debug!(feed = %self.lease.feed, %error, "inbox not pruned");
                    return;
                }
            }
            let took = begun.elapsed();
            if took >= TURN_MAX {
                // A quarter of the time at the most.
                self.pruning.due = Instant::now() + took * 3;
                return;
            }
        }
    }

    /// What may go: what was applied long ago by our clock, and cannot come again. None where nothing may, or
    /// nobody says what may come.
    ///
    /// Of an owned stream that is what the publisher's database has no more, so that no new generation brings it
    /// again. Rows of older generations stay, since an event that the current one brings again has its row
    /// there. Of the shared stream it is what was added long before what is settled now, so that no clock
    /// that jumps makes it old, and what the stream has no more: a group that was lost begins again with all
    /// that it has.
    async fn old(&self) -> Option<Old> {
        let at = self.committed.at;
        let (from, through) = match &self.lease.feed {
            Feed::Owned(_) => {
                let pruned = self.announced.borrow().bounds.pruned;
                if pruned.high != at.high {
                    return None;
                }
                (EntryId::new(at.high, 0), pruned.min(at))
            }
            Feed::Shared(stream) => {
                let added = EntryId::new(at.high.checked_sub(self.pruning.millis())?, 0);
                let there = self.transport.queue.describe_shared(stream).await.ok()?;
                let first = there.first.map(EntryId::before);
                (EntryId::ZERO, first.map_or(added, |first| first.min(added)))
            }
        };
        let now = u64::try_from(self.clock.now().as_millis()).ok()?;
        let before = now.checked_sub(self.pruning.millis())?;
        Some(Old {
            after: self.pruning.after.map_or(from, |after| after.max(from)),
            through,
            applied_before: Timestamp::from_millis(i64::try_from(before).ok()?),
        })
    }
}
