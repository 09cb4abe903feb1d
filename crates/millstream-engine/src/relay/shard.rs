use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use millstream_core::entry::{Entry, EntryId, Shard};
use millstream_core::error::{Error, ErrorKind};
use millstream_core::lease::{Checkpoint, Lease};
use millstream_core::log::{Appended, Log, ReadLimit};
use millstream_core::outbox::{Outbox, OutboxRow};
use millstream_core::wire;

use crate::relay::judge::{Damage, Evidence, Fork, Verdict, next};

/// Rows read from the outbox at once when a stream is behind.
pub(super) const CATCH_UP_MAX: usize = 500;

/// Times that this is done before other shards, followers and shutdown get their turn.
const CATCH_UP_STEPS: usize = 10;

/// A shard is made anew no more often than this, whoever keeps damaging it.
const REPAIR_INTERVAL: Duration = Duration::from_secs(1);

/// One shard as its relay sees it.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) outbox: Arc<dyn Outbox>,
    pub(super) log: Arc<dyn Log>,
    pub(super) shard: Shard,
    /// The last numbered row, and the right to work here.
    pub(super) lease: Lease,
    /// Entries up to here may be missing in the stream.
    pub(super) floor: EntryId,
    /// The last entry known to be in the stream; none until it has been looked at.
    pub(super) appended: Option<EntryId>,
    /// Left alone until then.
    pub(super) rests_until: Option<Instant>,
    /// Left alone until a person has decided.
    pub(super) forked: bool,
    pub(super) repaired_at: Option<Instant>,
    /// Rows of one append: fewer while the transport is full, whose room a larger one may never fit.
    pub(super) batch: usize,
}

/// What came of a step.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// This many more events are in the stream.
    Sent(u64),
    /// The stream was damaged, and begun anew.
    Repaired,
    /// The stream is left as it is.
    Forked(Fork),
    /// The outbox lacks what the stream should hold.
    Missing { after: EntryId },
}

impl Sender {
    /// Whether numbered rows may be missing in the stream, and something can be done about it now.
    pub(super) fn is_behind(&self) -> bool {
        let rests = self.rests_until.is_some_and(|until| Instant::now() < until);
        !rests && !self.forked && !self.is_level()
    }

    /// Whether everything that was numbered is known to be in the stream. A generation that has only
    /// begun has nothing to be there.
    pub(super) fn is_level(&self) -> bool {
        let top = self.top();
        let holds = |appended| appended >= top || top.low == 0;
        self.appended.is_some_and(holds)
    }

    fn top(&self) -> EntryId {
        self.lease.checkpoint.at
    }

    /// Leaves the shard alone for a while.
    pub(super) fn rest(&mut self, wait: Duration) {
        self.appended = None;
        self.rests_until = Some(Instant::now() + wait);
    }

    /// Whether the row is what comes next in the stream, as far as is known.
    pub(super) fn expects(&self, row: &OutboxRow) -> bool {
        !self.forked && self.appended.is_some_and(|last| follows(last, row.at))
    }

    /// Appends rows that were just numbered, if they follow what is in the stream; otherwise they
    /// are left to [`catch_up`](Self::catch_up).
    pub(super) async fn send(&mut self, rows: &[OutboxRow]) -> Result<Step, Error> {
        match (self.appended, rows.first()) {
            (Some(appended), Some(first)) if self.fits(rows) && self.expects(first) => {
                self.append(appended, rows).await
            }
            _ => Ok(Step::Sent(0)),
        }
    }

    /// Appends what is numbered and not in the stream yet.
    pub(super) async fn catch_up(&mut self) -> Result<Step, Error> {
        let mut sent = 0;
        for _ in 0..CATCH_UP_STEPS {
            if !self.is_behind() {
                break;
            }
            let Some(appended) = self.appended else {
                // Nothing may be missing at all: an answer that got lost was a good one.
                match self.look().await? {
                    Step::Sent(_) => continue,
                    other => return Ok(other),
                }
            };
            let after = appended.max(EntryId::new(self.top().high, 0));
            let rows = self.outbox.numbered(&self.shard, after, self.batch).await?;
            if rows.is_empty() {
                return Ok(Step::Missing { after });
            }
            match self.append(appended, &rows).await? {
                Step::Sent(more) => sent += more,
                other => return Ok(other),
            }
        }
        Ok(Step::Sent(sent))
    }

    async fn append(&mut self, after: EntryId, rows: &[OutboxRow]) -> Result<Step, Error> {
        // The log compares the last id alone; that nothing is left out is ours to see to.
        let Some(entries) = self.encode(after, rows) else {
            return Ok(Step::Missing { after });
        };
        let Some(last) = entries.last().map(|entry| entry.id) else {
            return Ok(Step::Sent(0));
        };
        // Until the answer is there, it is unknown what the stream holds.
        self.appended = None;
        let answer = self.log.append(&self.shard, after, &entries).await;
        self.fit(&answer);
        match answer? {
            Appended::Added => {
                self.appended = Some(last);
                Ok(Step::Sent(rows.len() as u64))
            }
            Appended::Mismatch { last: found } => {
                debug!(shard = %self.shard, expected = %after, %found, "append refused");
                Ok(Step::Sent(0))
            }
        }
    }

    fn fits(&self, rows: &[OutboxRow]) -> bool {
        self.batch == CATCH_UP_MAX || rows.len() <= self.batch
    }

    /// Learns how much the transport takes at once.
    fn fit(&mut self, answer: &Result<Appended, Error>) {
        match answer {
            Ok(_) => self.batch = (self.batch * 2).min(CATCH_UP_MAX),
            Err(reason) if reason.is_full() => self.batch = (self.batch / 2).max(1),
            Err(_) => {}
        }
    }

    /// The entries of dense rows after `after`; none if a number is left out.
    fn encode(&self, after: EntryId, rows: &[OutboxRow]) -> Option<Vec<Entry>> {
        let mut last = after;
        for row in rows {
            if !follows(last, row.at) {
                return None;
            }
            last = row.at;
        }
        let encode = |row| wire::encode_owned(row, &self.shard.owner);
        Some(rows.iter().map(encode).collect())
    }

    /// Compares the stream with the outbox, and begins it anew where it is damaged.
    pub(super) async fn look(&mut self) -> Result<Step, Error> {
        let found = self.log.describe(&self.shard).await?;
        let last = if found.length > 0 {
            self.entry_after(found.last.before()).await?
        } else {
            None
        };
        let beyond = if found.last > self.top() {
            self.entry_after(self.top()).await?
        } else {
            None
        };
        let expected = self.event_at(found.last).await?;
        let evidence = Evidence {
            shard: &self.shard,
            top: &self.lease.checkpoint,
            floor: self.floor,
            found,
            last: last.as_ref(),
            expected: expected.as_ref().and_then(|row| row.event_id.as_ref()),
            beyond: beyond.as_ref(),
        };
        match evidence.judge() {
            Verdict::Prefix(last) => {
                if self.appended.is_some_and(|appended| last < appended) {
                    warn!(shard = %self.shard, found = %last, "the stream lost entries, adding them again");
                }
                self.appended = Some(last);
                Ok(Step::Sent(0))
            }
            Verdict::Repair(damage) => self.repair(found.last, damage).await,
            Verdict::Forked(fork) => {
                // A relay that has lost its lease sees what its successor sent: that is no fork.
                self.hold().await?;
                Ok(Step::Forked(fork))
            }
        }
    }

    async fn entry_after(&self, after: EntryId) -> Result<Option<Entry>, Error> {
        let limit = ReadLimit { count: 1, bytes: 1 };
        let entries = self
            .log
            .read(&self.shard, after, limit, Duration::ZERO)
            .await?;
        Ok(entries.into_iter().next())
    }

    async fn event_at(&self, at: EntryId) -> Result<Option<Checkpoint>, Error> {
        if at == self.top() {
            return Ok(Some(self.lease.checkpoint.clone()));
        }
        self.outbox.checkpoint_at(&self.shard, at).await
    }

    /// Makes sure that the lease is ours, and that nothing was numbered behind our back.
    pub(super) async fn hold(&self) -> Result<(), Error> {
        match self.outbox.checkpoint(&self.lease).await? {
            Some(checkpoint) if checkpoint == self.lease.checkpoint => Ok(()),
            _ => Err(Error::new(
                ErrorKind::Fenced,
                format!("{}: lease lost", self.shard),
            )),
        }
    }

    /// Begins the stream anew from the floor. What does not fit into one batch is caught up with.
    async fn repair(&mut self, judged: EntryId, damage: Damage) -> Result<Step, Error> {
        let again = |at: Instant| at.elapsed() < REPAIR_INTERVAL;
        if self.repaired_at.is_some_and(again) {
            self.rest(REPAIR_INTERVAL);
            return Ok(Step::Sent(0));
        }
        let rows = self
            .outbox
            .numbered(&self.shard, self.floor, self.batch)
            .await?;
        let entries = match self.encode(self.floor, &rows) {
            Some(entries) if !entries.is_empty() || self.floor >= self.top() => entries,
            _ => return Ok(Step::Missing { after: self.floor }),
        };
        // Just before, since nothing else keeps a relay that was asleep from doing this.
        self.hold().await?;
        self.appended = None;
        let appended = self
            .log
            .replace(&self.shard, judged, self.floor, &entries)
            .await;
        self.fit(&appended);
        self.repaired_at = Some(Instant::now());
        match appended? {
            Appended::Added => {
                self.appended = Some(entries.last().map_or(self.floor, |entry| entry.id));
                match damage {
                    Damage::Lost { .. } | Damage::Over { .. } => {
                        warn!(shard = %self.shard, %damage, from = %next(self.floor), "stream begun anew");
                    }
                    Damage::Foreign { .. } | Damage::Raised { .. } => {
                        error!(shard = %self.shard, %damage, from = %next(self.floor), "stream begun anew");
                    }
                }
                Ok(Step::Repaired)
            }
            Appended::Mismatch { last } => {
                info!(shard = %self.shard, %judged, found = %last, "the stream moved while it was judged");
                Ok(Step::Sent(0))
            }
        }
    }
}

/// Whether `next` is the number after `last`.
fn follows(last: EntryId, next: EntryId) -> bool {
    next.low == last.low + 1 && (next.high == last.high || last == EntryId::ZERO)
}
