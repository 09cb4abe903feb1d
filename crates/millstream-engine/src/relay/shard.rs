use std::sync::Arc;

use tracing::{debug, info};

use millstream_core::entry::{Entry, EntryId, Shard};
use millstream_core::error::Error;
use millstream_core::lease::Checkpoint;
use millstream_core::log::{Appended, Log, ReadLimit};
use millstream_core::outbox::{Outbox, OutboxRow};
use millstream_core::wire;

/// Rows read from the outbox at once when a stream is behind.
const CATCH_UP_MAX: usize = 500;

/// One shard as its relay sees it.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) outbox: Arc<dyn Outbox>,
    pub(super) log: Arc<dyn Log>,
    pub(super) shard: Shard,
    /// The last numbered row.
    pub(super) top: Checkpoint,
    /// The last entry known to be in the stream; none until it has been looked at.
    pub(super) appended: Option<EntryId>,
}

/// The stream is not a prefix of what the outbox says it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Divergence {
    #[error("the stream holds {found}, above the last number {top} of this database")]
    Ahead { found: EntryId, top: EntryId },
    #[error("the last entry {found} is not the event that has this number in the outbox")]
    Foreign { found: EntryId },
    #[error("the outbox does not hold the event that comes after {after}, though it was numbered")]
    Missing { after: EntryId },
}

/// What came of a step.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// This many more events are in the stream.
    Sent(u64),
    /// The stream diverged; nothing more is sent to it.
    Diverged(Divergence),
}

impl Sender {
    /// Whether numbered rows may be missing in the stream.
    pub(super) fn is_behind(&self) -> bool {
        self.appended.is_none_or(|appended| appended < self.top.at)
    }

    /// Appends rows that were just numbered, if they follow what is in the stream; otherwise they
    /// are left to [`catch_up`](Self::catch_up).
    pub(super) async fn send(&mut self, rows: &[OutboxRow]) -> Result<Step, Error> {
        match (self.appended, rows.first()) {
            (Some(appended), Some(first)) if follows(appended, first.at) => {
                self.append(appended, rows).await
            }
            _ => Ok(Step::Sent(0)),
        }
    }

    /// Appends what is numbered and not in the stream yet.
    pub(super) async fn catch_up(&mut self) -> Result<Step, Error> {
        let mut sent = 0;
        while self.is_behind() {
            let Some(after) = self.appended else {
                // Nothing may be missing at all: an answer that got lost was a good one.
                match self.judge().await? {
                    Ok(_) => continue,
                    Err(divergence) => return Ok(Step::Diverged(divergence)),
                }
            };
            let rows = self
                .outbox
                .numbered(&self.shard, after, CATCH_UP_MAX)
                .await?;
            if rows.is_empty() {
                return Ok(Step::Diverged(Divergence::Missing { after }));
            }
            match self.append(after, &rows).await? {
                Step::Sent(more) => sent += more,
                diverged @ Step::Diverged(_) => return Ok(diverged),
            }
        }
        Ok(Step::Sent(sent))
    }

    async fn append(&mut self, after: EntryId, rows: &[OutboxRow]) -> Result<Step, Error> {
        // The log compares the last id alone; that nothing is left out is ours to see to.
        let mut last = after;
        for row in rows {
            if !follows(last, row.at) {
                return Ok(Step::Diverged(Divergence::Missing { after: last }));
            }
            last = row.at;
        }
        let entries: Vec<Entry> = rows
            .iter()
            .map(|row| wire::encode_owned(row, &self.shard.owner))
            .collect();
        let Some(last) = entries.last().map(|entry| entry.id) else {
            return Ok(Step::Sent(0));
        };
        // Until the answer is there, it is unknown what the stream holds.
        self.appended = None;
        match self.log.append(&self.shard, after, &entries).await? {
            Appended::Added => {
                self.appended = Some(last);
                Ok(Step::Sent(rows.len() as u64))
            }
            Appended::Mismatch { last: found } => {
                debug!(shard = %self.shard, expected = %after, %found, "append refused");
                Ok(match self.judge().await? {
                    // Behind or level: the next catch-up goes on from there.
                    Ok(_) => Step::Sent(0),
                    Err(divergence) => Step::Diverged(divergence),
                })
            }
        }
    }

    /// Looks whether the stream is a prefix of what it should be, and where it ends.
    pub(super) async fn judge(&mut self) -> Result<Result<EntryId, Divergence>, Error> {
        let found = self.log.describe(&self.shard).await?.last;
        let top = self.top.at;
        if found > top {
            return Ok(Err(Divergence::Ahead { found, top }));
        }
        if found > EntryId::ZERO && !self.is_ours(found).await? {
            return Ok(Err(Divergence::Foreign { found }));
        }
        if self.appended.is_some_and(|appended| found < appended) {
            info!(shard = %self.shard, %found, "the stream lost entries, adding them again");
        }
        self.appended = Some(found);
        Ok(Ok(found))
    }

    /// Whether the last entry carries the event that has its number in the outbox. A trimmed entry
    /// is not looked at; the number alone must do.
    async fn is_ours(&self, last: EntryId) -> Result<bool, Error> {
        let row = if last == self.top.at {
            self.top.clone()
        } else {
            match self.outbox.checkpoint_at(&self.shard, last).await? {
                Some(row) => row,
                None => return Ok(false),
            }
        };
        let before = EntryId::new(last.high, last.low - 1);
        let limit = ReadLimit { count: 1, bytes: 1 };
        let entries = self
            .log
            .read(&self.shard, before, limit, std::time::Duration::ZERO)
            .await?;
        Ok(match entries.first() {
            Some(entry) => {
                let ours = row.event_id.as_ref().map(|id| id.as_str().as_bytes());
                entry.fields.get(wire::field::EVENT_ID).map(AsRef::as_ref) == ours
            }
            None => true,
        })
    }
}

/// Whether `next` is the number after `last`.
fn follows(last: EntryId, next: EntryId) -> bool {
    next.low == last.low + 1 && (next.high == last.high || last == EntryId::ZERO)
}
