mod again;
mod prune;
mod stuck;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use millstream_core::acknowledgment::{Exception, Receipt};
use millstream_core::clock::Clock;
use millstream_core::delivery::{Delivery, Outcome};
use millstream_core::entry::EntryId;
use millstream_core::error::{Error, ErrorKind};
use millstream_core::lease::{Checkpoint, Feed, Lease};
use millstream_core::limits::EXCEPTIONS_MAX;
use millstream_core::name::StreamName;
use millstream_core::queue::Member;
use millstream_core::retry::RetryPolicy;
use millstream_core::store::{Applied, Batch, Store};

use crate::Transport;
use crate::backoff::Backoff;
use crate::consumer::following::Announced;
use crate::consumer::judge::Judge;
use crate::consumer::reporter::Reporter;
use crate::consumer::retries::Retries;
use crate::pace::Pace;
use crate::status::{Handle, State};

pub(super) use prune::Pruning;
use stuck::{Patience, Remedy, set_aside};

/// A busy feed reports no more often than this.
const REPORT_INTERVAL: Duration = Duration::from_millis(250);

/// An idle feed reports again after this long: what it said before may have been lost.
const REPORT_AGAIN: Duration = Duration::from_secs(5);

/// Bytes of all exceptions in one receipt, and of one without its reason, about. Receipts are kept by
/// the transport even when it is full.
const EXCEPTIONS_BYTES_MAX: usize = 8 * 1024;
const EXCEPTION_BYTES: usize = 80;

/// How often a receipt is sent that only tells of exceptions: no later one heals a lost one.
const SAID_AGAIN: u32 = 3;

/// How often a feed that has exceptions, or had some, tells of them all.
const EXCEPTIONS_AGAIN: Duration = Duration::from_secs(60);

/// How long a checkpoint may lag that moved over passed-over entries only.
const PASSED_OVER_MAX: Duration = Duration::from_secs(1);

/// How often an idle feed looks whether its database is where it was left.
const CHECK_INTERVAL: Duration = Duration::from_secs(3);

/// Settles deliveries of one feed: applies them, and only then tells the transport.
#[derive(Debug)]
pub(super) struct Settler {
    pub(super) store: Arc<dyn Store>,
    pub(super) transport: Transport,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) handle: Handle,
    /// Who is told about an owned stream; nobody about the shared one.
    pub(super) reporter: Option<Reporter>,
    pub(super) announced: watch::Receiver<Announced>,
    pub(super) member: Member,
    pub(super) lease: Lease,
    pub(super) pace: Pace,
    pub(super) backoff: Backoff,
    /// What the database has.
    pub(super) committed: Checkpoint,
    /// What has been looked at; above `committed` where entries were passed over.
    pub(super) seen: Checkpoint,
    /// When the last transaction was.
    pub(super) committed_at: Instant,
    /// When the database was last asked where it is.
    pub(super) checked_at: Instant,
    /// What was reported, and when.
    pub(super) reported: (EntryId, Instant),
    /// Parked and dead events of the feed, and how many there are; none when they are to be read.
    pub(super) exceptions: Option<(Vec<Exception>, u64)>,
    /// Receipts that are to tell of exceptions that changed while the checkpoint did not.
    pub(super) unsaid: u32,
    /// What is done about each entry.
    pub(super) judge: Arc<Judge>,
    /// When parked events are tried again, and until when.
    pub(super) retries: Retries,
    pub(super) conflict_deadline: Duration,
    pub(super) pruning: Pruning,
    /// How long an outage is one.
    pub(super) stuck_after: Duration,
    /// Since when no feed of the application was seen paused or stalled by this one.
    pub(super) undisturbed: Instant,
    /// When exceptions were last told, if there were any under this lease.
    pub(super) told_exceptions: Option<Instant>,
}

/// Why settling ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The service is stopping, or the feed is wanted elsewhere.
    Cancelled,
    /// Another instance has the lease.
    Lost,
    /// The checkpoint is not where it was: go on from where it is.
    Moved,
    /// It went back: the publisher has to know before anything is read again.
    Rewound,
}

impl Settler {
    /// How many deliveries the next call of [`settle`](Self::settle) should bring.
    pub(super) fn batch_size(&self) -> usize {
        self.pace.size()
    }

    /// Whether everything that was looked at is committed, and reported.
    pub(super) fn is_level(&self) -> bool {
        self.seen == self.committed
            && self.reported.0 == self.committed.at
            && self.unsaid < SAID_AGAIN
    }

    /// How long a feed without arrivals may wait before parked events are to be tried again.
    pub(super) fn until_retry(&self) -> Duration {
        self.retries.wait(Instant::now())
    }

    /// Notes that everything up to here is for others.
    pub(super) fn pass_over(&mut self, to: Checkpoint) {
        self.seen = to;
    }

    /// Settles deliveries and everything passed over before `to`, in one transaction.
    ///
    /// Returns when they are committed. Outages are waited out here, so nothing that was read is
    /// ever dropped for one.
    pub(super) async fn settle(
        &mut self,
        deliveries: Vec<Delivery>,
        to: Checkpoint,
        cancel: &CancellationToken,
    ) -> Result<(), Stop> {
        let batch = Batch {
            from: self.committed.clone(),
            to,
            deliveries: deliveries.into(),
            applied_at: self.clock.now(),
            again: None,
            set_aside: None,
        };
        let mut aside = 0;
        let mut pieces = vec![(batch, self.patience())];
        while let Some((piece, patience)) = pieces.pop() {
            if let Some((first, second)) = self
                .settle_piece(piece, patience, &mut aside, cancel)
                .await?
            {
                if cancel.is_cancelled() {
                    return Err(Stop::Cancelled);
                }
                let part = |part| {
                    let patience = Patience::with_part(&part);
                    (part, patience)
                };
                pieces.extend([part(second), part(first)]);
            }
        }
        Ok(())
    }

    /// Settles a batch and says so, or gives back the halves into which it is split, since something in it
    /// stands in the way.
    async fn settle_piece(
        &mut self,
        mut batch: Batch,
        mut patience: Patience,
        aside: &mut u32,
        cancel: &CancellationToken,
    ) -> Result<Option<(Batch, Batch)>, Stop> {
        let applied = loop {
            batch.applied_at = self.clock.now();
            match self.judge.apply(&*self.store, &self.lease, &batch).await {
                Ok(applied) => break Some(applied),
                Err(error) if error.kind() == ErrorKind::Fenced => {
                    if self.look_again(&batch, &error, cancel).await? {
                        break None;
                    }
                }
                Err(error) => {
                    self.pause(&error);
                    match self.remedy(&batch, &error, &mut patience, *aside).await {
                        Remedy::Split => return Ok(Some(batch.halves())),
                        Remedy::SetAside => {
                            batch.set_aside = Some(set_aside(&error));
                            *aside += 1;
                        }
                        Remedy::Wait => {
                            if !self.backoff.wait(cancel).await {
                                return Err(Stop::Cancelled);
                            }
                        }
                    }
                }
            }
        };
        self.resume();
        self.settled(&batch, applied);
        if let Feed::Shared(stream) = self.lease.feed.clone() {
            let entries: Vec<EntryId> = batch.deliveries.iter().map(|one| one.entry).collect();
            self.ack(&stream, &entries, cancel).await?;
        }
        self.report(false).await;
        Ok(None)
    }

    /// Notes that a batch is committed, and what came of it, if we were told.
    fn settled(&mut self, batch: &Batch, applied: Option<Applied>) {
        self.committed = batch.to.clone();
        self.seen = batch.to.clone();
        self.committed_at = Instant::now();
        if let Some(applied) = applied {
            self.pace.observe(batch.deliveries.len(), applied.took);
            let dead = applied.counts.get(Outcome::Dead);
            let blocked = applied.counts.get(Outcome::Blocked);
            let retrying = applied.counts.get(Outcome::Retrying);
            if dead + blocked + retrying + applied.repeated > 0 {
                self.exceptions = None;
            }
            if dead > 0 {
                warn!(feed = %self.lease.feed, dead, blocked, "events parked: see `millstream dead-letters list`");
            }
            if retrying > 0 {
                info!(feed = %self.lease.feed, retrying, "events conflict with other rows, and are tried again");
                self.retries.parked(Instant::now());
            }
            if applied.repeated > 0 {
                let repeated = applied.repeated;
                info!(feed = %self.lease.feed, repeated, "events arrived that were settled before");
            }
            self.handle.update(|status| {
                status.counts.merge(&applied.counts);
                status.repeated += applied.repeated;
            });
        } else {
            // Our own commit, of which nothing else is known.
            self.exceptions = None;
        }
        self.handle
            .update_feed(&self.lease.feed, |feed| feed.at = self.committed.at);
    }

    /// After a failed comparison: was it our own commit, whose answer got lost? True if so.
    async fn look_again(
        &mut self,
        batch: &Batch,
        error: &Error,
        cancel: &CancellationToken,
    ) -> Result<bool, Stop> {
        loop {
            match self.store.checkpoint(&self.lease).await {
                Ok(None) => {
                    info!(feed = %self.lease.feed, "lease went to another instance");
                    return Err(Stop::Lost);
                }
                Ok(Some(checkpoint)) if checkpoint == batch.to => return Ok(true),
                Ok(Some(checkpoint)) => {
                    warn!(feed = %self.lease.feed, at = %checkpoint.at, %error, "checkpoint moved");
                    return Err(self.moved_to(checkpoint));
                }
                Err(error) => {
                    self.pause(&error);
                    if !self.backoff.wait(cancel).await {
                        return Err(Stop::Cancelled);
                    }
                }
            }
        }
    }

    async fn ack(
        &mut self,
        stream: &StreamName,
        entries: &[EntryId],
        cancel: &CancellationToken,
    ) -> Result<(), Stop> {
        if entries.is_empty() {
            return Ok(());
        }
        loop {
            match self
                .transport
                .queue
                .ack(stream, &self.member.group, entries)
                .await
            {
                Ok(_) => {
                    self.resume();
                    return Ok(());
                }
                // They stay pending; whoever claims them finds them in the inbox.
                Err(error) => {
                    self.pause(&error);
                    if !self.backoff.wait(cancel).await {
                        return Err(Stop::Cancelled);
                    }
                }
            }
        }
    }

    /// Acks entries that are for others: judging them again would give the same.
    pub(super) async fn ack_passed_over(
        &mut self,
        entries: &[EntryId],
        cancel: &CancellationToken,
    ) -> Result<(), Stop> {
        match self.lease.feed.clone() {
            Feed::Shared(stream) => self.ack(&stream, entries, cancel).await,
            Feed::Owned(_) => Ok(()),
        }
    }

    /// Nothing has arrived for a while: settles what was passed over, publishes the position, and
    /// looks now and then whether the database still is where it was left. A restored one is not.
    pub(super) async fn idle(&mut self, cancel: &CancellationToken) -> Result<(), Stop> {
        if self.checked_at.elapsed() >= CHECK_INTERVAL {
            self.check().await?;
        }
        if self.seen != self.committed && self.committed_at.elapsed() >= PASSED_OVER_MAX {
            self.settle(Vec::new(), self.seen.clone(), cancel).await?;
        }
        self.report(true).await;
        Ok(())
    }

    /// Follows the database to where it says it is.
    fn moved_to(&mut self, checkpoint: Checkpoint) -> Stop {
        self.said_otherwise();
        let back = checkpoint.at < self.committed.at;
        self.committed = checkpoint.clone();
        self.seen = checkpoint;
        match self.lease.feed {
            Feed::Owned(_) if back => Stop::Rewound,
            _ => Stop::Moved,
        }
    }

    async fn check(&mut self) -> Result<(), Stop> {
        self.checked_at = Instant::now();
        match self.store.checkpoint(&self.lease).await {
            Ok(None) => {
                info!(feed = %self.lease.feed, "lease is not ours any more");
                Err(Stop::Lost)
            }
            Ok(Some(checkpoint)) if checkpoint != self.committed => {
                warn!(feed = %self.lease.feed, at = %checkpoint.at, "checkpoint moved");
                Err(self.moved_to(checkpoint))
            }
            Ok(Some(_)) => {
                self.resume();
                Ok(())
            }
            // Nothing waits to be settled; the next look tells.
            Err(error) => {
                self.pause(&error);
                Ok(())
            }
        }
    }

    /// The feed is being given up: leaves nothing unsaid.
    pub(super) async fn finish(&mut self) {
        if self.seen != self.committed {
            let cancel = CancellationToken::new();
            cancel.cancel();
            // Cancelled already, so an outage is not waited for; nothing is lost by that.
            self.settle(Vec::new(), self.seen.clone(), &cancel)
                .await
                .ok();
        }
        // Whoever has taken the feed since knows better.
        if self.check().await.is_ok() {
            self.report(true).await;
        }
    }

    /// Says how far the feed is: the position to everybody, the receipt to the publisher. The only
    /// place that does, and only with what is committed.
    async fn report(&mut self, now: bool) {
        let Some(reporter) = self.reporter.clone() else {
            return;
        };
        let at = self.committed.at;
        let (told, when) = self.reported;
        let news = at != told || self.unsaid == SAID_AGAIN;
        let moved = news && (now || when.elapsed() >= REPORT_INTERVAL);
        if at == EntryId::ZERO || !(moved || when.elapsed() >= REPORT_AGAIN) {
            return;
        }
        let feed = self.lease.feed.clone();
        if let Err(error) = reporter.publish_position(at).await {
            debug!(%feed, %error, "position not published");
        }
        // A relay that begins anew passes over what was left for it, and a lost receipt that tells of
        // exceptions alone is healed by none that follows.
        let again = |told: Instant| told.elapsed() >= EXCEPTIONS_AGAIN;
        if self.told_exceptions.is_some_and(again) {
            self.exceptions = None;
        }
        let due = self.told_exceptions.is_some_and(again) || self.unsaid > 0;
        if at != told || due || self.announced.borrow().settled < at {
            match self.send_receipt(&reporter).await {
                Ok(()) => self.unsaid = self.unsaid.saturating_sub(1),
                Err(error) => {
                    debug!(%feed, %error, "receipt not sent");
                    // It is due again as any other, and not at once.
                    self.unsaid = self.unsaid.min(SAID_AGAIN - 1);
                }
            }
        }
        // Whatever got lost of it is said again before long.
        self.reported = (at, Instant::now());
    }

    async fn send_receipt(&mut self, reporter: &Reporter) -> Result<(), Error> {
        let shard = &reporter.shard;
        let (exceptions, total) = match self.exceptions.take() {
            Some(known) => known,
            None => self.store.exceptions(shard, EXCEPTIONS_MAX).await?,
        };
        self.exceptions = Some((exceptions.clone(), total));
        if total > 0 || self.told_exceptions.is_some() {
            self.told_exceptions = Some(Instant::now());
        }
        let mut bytes = 0;
        let exceptions: Vec<Exception> = exceptions
            .into_iter()
            .take_while(|exception| {
                bytes += exception.reason.len() + EXCEPTION_BYTES;
                bytes <= EXCEPTIONS_BYTES_MAX
            })
            .collect();
        let omitted = total.saturating_sub(exceptions.len() as u64);
        let receipt = Receipt {
            shard: shard.number,
            settled: self.committed.clone(),
            exceptions,
            omitted,
        };
        reporter.send(receipt).await
    }

    /// Says why the feed waits, once per reason.
    pub(super) fn pause(&mut self, reason: &Error) {
        self.undisturbed = Instant::now();
        if self
            .handle
            .set_state(&self.lease.feed, State::Paused(reason.to_string()))
        {
            let feed = &self.lease.feed;
            match reason.kind() {
                ErrorKind::Misconfigured => error!(%feed, %reason, "paused until this is mended"),
                _ => warn!(%feed, %reason, "paused"),
            }
        }
    }

    pub(super) fn resume(&mut self) {
        if self.backoff.failures() > 0 {
            self.backoff.succeeded();
            info!(feed = %self.lease.feed, "resumed");
        }
        self.handle.resume(&self.lease.feed);
    }
}

/// The waits of a feed whose database or transport is away.
pub(super) fn backoff(lease: &Lease) -> Backoff {
    let seed = lease
        .feed
        .to_string()
        .bytes()
        .fold(lease.epoch, |seed, byte| {
            seed.wrapping_mul(31).wrapping_add(u64::from(byte))
        });
    Backoff::new(RetryPolicy::OUTAGE, seed)
}
