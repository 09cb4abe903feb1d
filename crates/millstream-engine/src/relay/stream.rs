//! One stream of an application: all of its shards under one lease.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use millstream_core::clock::Clock;
use millstream_core::descriptor::Descriptor;
use millstream_core::entry::EntryId;
use millstream_core::error::{Error, ErrorKind};
use millstream_core::lease::{Checkpoint, Feed, Lease};
use millstream_core::log::Log;
use millstream_core::name::EventId;
use millstream_core::outbox::{Outbox, OutboxRow};
use millstream_core::retry::RetryPolicy;

use crate::backoff::Backoff;
use crate::relay::StreamOptions;
use crate::relay::followers::Followers;
use crate::relay::shard::{CATCH_UP_MAX, Sender, Step};
use crate::status::{Handle, State};

/// How long an idle relay waits for rows before it looks around.
const WAIT: Duration = Duration::from_millis(500);

/// How often the streams are compared with the outbox, and what is published announced again.
const CHECK_INTERVAL: Duration = Duration::from_secs(3);

/// How long a shard rests that something is wrong with.
const REST: Duration = CHECK_INTERVAL;

/// The relay of one stream while it holds the leases on all of its shards.
#[derive(Debug)]
pub(super) struct StreamRelay {
    pub(super) outbox: Arc<dyn Outbox>,
    pub(super) log: Arc<dyn Log>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) handle: Handle,
    pub(super) descriptor: Descriptor,
    pub(super) options: StreamOptions,
    pub(super) begin_generation: bool,
    pub(super) batch_max: usize,
    pub(super) cancel: CancellationToken,
    /// One for each shard, in their order.
    pub(super) senders: Vec<Sender>,
    pub(super) followers: Followers,
    pub(super) pace: Pace,
    /// Rows of each shard that were numbered last, and are sent next. Whatever keeps them from it: they
    /// are caught up with.
    pub(super) numbered: Vec<Vec<OutboxRow>>,
}

/// When things were done last, and what is to be done next.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Whether followers were read from the database, and old messages looked through.
    pub(super) begun: bool,
    /// The last message that was taken in.
    pub(super) heard: EntryId,
    pub(super) heard_at: Option<Instant>,
    pub(super) recorded_at: Option<Instant>,
    pub(super) checked_at: Option<Instant>,
    pub(super) pruned_at: Option<Instant>,
    /// Shards that a follower waits for.
    pub(super) wanted: BTreeSet<u16>,
    /// What older generations left behind, for each shard.
    pub(super) left_behind: Vec<EntryId>,
    /// The highest generation that followers and transport know of.
    pub(super) generation_seen: u64,
    /// Whether followers have to be told something before the next check.
    pub(super) announce: bool,
}

pub(super) fn is_due(last: Option<Instant>, interval: Duration) -> bool {
    last.is_none_or(|last| last.elapsed() >= interval)
}

/// The first error, unless the second says that the lease is lost: then nothing else matters.
pub(super) fn both(first: Result<(), Error>, second: Result<(), Error>) -> Result<(), Error> {
    match second {
        Err(error) if first.is_ok() || error.kind() == ErrorKind::Fenced => Err(error),
        _ => first,
    }
}

impl StreamRelay {
    /// A relay for leases that were just acquired.
    pub(super) fn senders(
        outbox: &Arc<dyn Outbox>,
        log: &Arc<dyn Log>,
        leases: Vec<Lease>,
    ) -> Vec<Sender> {
        let sender = |lease: Lease| match lease.feed.clone() {
            Feed::Owned(shard) => Some(Sender {
                outbox: outbox.clone(),
                log: log.clone(),
                shard,
                lease,
                floor: EntryId::ZERO,
                appended: None,
                rests_until: None,
                forked: false,
                repaired_at: None,
                batch: CATCH_UP_MAX,
            }),
            Feed::Shared(_) => None,
        };
        leases.into_iter().filter_map(sender).collect()
    }

    /// Sends until it is told to stop or has lost the leases, and returns them.
    pub(super) async fn run(mut self) -> Vec<Lease> {
        let mut backoff = Backoff::new(RetryPolicy::OUTAGE, self.senders[0].lease.epoch);
        while !self.cancel.is_cancelled() {
            match self.step().await {
                Ok(()) => {
                    if backoff.failures() > 0 {
                        backoff.succeeded();
                        info!(stream = %self.descriptor.stream, "relay resumed");
                        for sender in &self.senders {
                            self.handle.resume(&sender.lease.feed);
                        }
                    }
                }
                Err(reason) if reason.kind() == ErrorKind::Fenced => {
                    match self.reload().await {
                        Ok(true) => {}
                        Ok(false) => {
                            info!(stream = %self.descriptor.stream, "lease went to another relay");
                            break;
                        }
                        Err(reason) => self.pause(&reason),
                    }
                    if !backoff.wait(&self.cancel).await {
                        break;
                    }
                }
                Err(reason) => {
                    self.pause(&reason);
                    if !backoff.wait(&self.cancel).await {
                        break;
                    }
                }
            }
        }
        // What cannot be sent now, the next relay catches up with.
        let waiting = std::mem::take(&mut self.numbered);
        let sends = self.senders.iter_mut().zip(&waiting);
        join_all(sends.map(|(sender, rows)| sender.send(rows))).await;
        self.leases()
    }

    pub(super) fn leases(&self) -> Vec<Lease> {
        let lease = |sender: &Sender| sender.lease.clone();
        self.senders.iter().map(lease).collect()
    }

    pub(super) fn tops(&self) -> Vec<Checkpoint> {
        let top = |sender: &Sender| sender.lease.checkpoint.clone();
        self.senders.iter().map(top).collect()
    }

    async fn step(&mut self) -> Result<(), Error> {
        self.listen().await?;
        if is_due(self.pace.checked_at, CHECK_INTERVAL) {
            self.check().await?;
            self.pace.checked_at = Some(Instant::now());
        } else if std::mem::take(&mut self.pace.announce) {
            self.announce().await?;
        }
        for number in std::mem::take(&mut self.pace.wanted) {
            if !self.senders[usize::from(number)].forked {
                self.look(usize::from(number)).await?;
            }
        }
        // One shard's outage does not keep the others from what they can do.
        let mut first = Ok(());
        for index in 0..self.senders.len() {
            if self.senders[index].is_behind() && !self.is_next(index) {
                let step = self.senders[index].catch_up().await;
                first = both(first, self.took(index, step).await);
            }
        }
        let numbered = self.send_and_number().await;
        both(first, numbered)
    }

    /// Whether the rows that were numbered last are what the shard's stream lacks.
    fn is_next(&self, index: usize) -> bool {
        let first = self.numbered.get(index).and_then(|rows| rows.first());
        first.is_some_and(|first| self.senders[index].expects(first))
    }

    /// Sends what was numbered last, while the database numbers the next.
    async fn send_and_number(&mut self) -> Result<(), Error> {
        let leases = self.leases();
        let waiting = std::mem::take(&mut self.numbered);
        let sends = self.senders.iter_mut().zip(&waiting);
        let sends = sends.map(|(sender, rows)| sender.send(rows));
        let (sent, numbered) = tokio::join!(
            join_all(sends),
            self.outbox
                .number(&leases, self.batch_max, self.clock.now())
        );
        // First, whatever became of sending: what is numbered is known, and caught up with.
        if let Ok(rows) = &numbered {
            self.raise(rows);
        }
        let mut first = Ok(());
        for (index, step) in sent.into_iter().enumerate() {
            first = both(first, self.took(index, step).await);
        }
        let rows = numbered?;
        if rows.is_empty() {
            first?;
            if waiting.is_empty() && !self.senders.iter().any(Sender::is_behind) {
                tokio::select! {
                    () = self.outbox.wait(&self.descriptor.stream, WAIT) => {}
                    () = self.cancel.cancelled() => {}
                }
            }
            return Ok(());
        }
        self.numbered = self.senders.iter().map(|_| Vec::new()).collect();
        for row in rows {
            self.numbered[usize::from(row.shard)].push(row);
        }
        first
    }

    /// Follows in memory what numbering has done in the database, for all shards before anything is
    /// appended to one: whatever fails then is caught up with.
    fn raise(&mut self, rows: &[OutboxRow]) {
        for row in rows {
            let id = std::str::from_utf8(&row.event_id)
                .ok()
                .and_then(|id| EventId::new(id).ok());
            self.senders[usize::from(row.shard)].lease.checkpoint = Checkpoint {
                at: row.at,
                event_id: id,
            };
        }
    }

    /// After a failed comparison: reads the tops again. False if the leases are lost.
    async fn reload(&mut self) -> Result<bool, Error> {
        for sender in &mut self.senders {
            let Some(checkpoint) = self.outbox.checkpoint(&sender.lease).await? else {
                return Ok(false);
            };
            if checkpoint.at.high > sender.lease.checkpoint.at.high {
                // The answer got lost in which a new generation began.
                self.begin_generation = false;
            }
            sender.lease.checkpoint = checkpoint;
        }
        // What else the database says, and what others know of it, may be another thing too.
        self.pace.begun = false;
        self.pace.checked_at = None;
        self.numbered.clear();
        Ok(true)
    }

    /// Compares a shard with the outbox.
    pub(super) async fn look(&mut self, index: usize) -> Result<(), Error> {
        let step = self.senders[index].look().await;
        self.took(index, step).await
    }

    /// Shows what came of a step. An error that only concerns the shard is kept to it.
    pub(super) async fn took(
        &mut self,
        index: usize,
        step: Result<Step, Error>,
    ) -> Result<(), Error> {
        match step {
            Ok(Step::Sent(sent)) => self.moved(index, sent),
            Ok(Step::Repaired) => {
                self.handle.update(|status| status.repairs += 1);
                self.moved(index, 0);
                // The descriptor may have been lost with it.
                self.pace.announce = true;
            }
            Ok(Step::Forked(fork)) => self.forked(index, &fork.to_string()).await?,
            Ok(Step::Missing { after }) => self.stall(
                index,
                &format!("the outbox does not hold the event that comes after {after}, though it was numbered"),
            ),
            Err(reason) if reason.kind() == ErrorKind::Misconfigured => {
                self.stall(index, &reason.to_string());
            }
            Err(reason) => {
                if reason.is_full() {
                    self.relieve().await?;
                }
                return Err(reason);
            }
        }
        Ok(())
    }

    fn moved(&self, index: usize, sent: u64) {
        let sender = &self.senders[index];
        let Some(at) = sender.appended else { return };
        self.handle.update(|status| status.sent += sent);
        let level = sender.is_level();
        self.handle.update_feed(&sender.lease.feed, |feed| {
            feed.at = at;
            if level && matches!(feed.state, State::Stalled(_)) {
                feed.state = State::Running;
            }
        });
    }

    /// Something that waiting alone does not mend: nothing is sent to the shard until it is.
    fn stall(&mut self, index: usize, reason: &str) {
        let sender = &mut self.senders[index];
        sender.rest(REST);
        let feed = &sender.lease.feed;
        if self
            .handle
            .set_state(feed, State::Stalled(reason.to_owned()))
        {
            error!(%feed, %reason, "stalled: nothing is sent to this shard");
        }
    }

    /// The stream knows more than this database: it was restored, or failed over.
    pub(super) async fn forked(&mut self, index: usize, reason: &str) -> Result<(), Error> {
        if self.begin_generation {
            return self.begin_generation(reason).await;
        }
        if !self.pace.begun {
            // Of the history that has just ended.
            return Ok(());
        }
        let sender = &mut self.senders[index];
        sender.forked = true;
        sender.appended = None;
        let feed = &sender.lease.feed;
        if self
            .handle
            .set_state(feed, State::Forked(reason.to_owned()))
        {
            error!(
                %feed, %reason,
                "forked: nothing is sent to this shard. This database knows less than its followers: bring \
                 back the one that it was restored from, or go on with this one as a new generation: \
                 `millstream run --begin-generation`"
            );
        }
        Ok(())
    }

    /// Goes on with this database as the truth.
    async fn begin_generation(&mut self, reason: &str) -> Result<(), Error> {
        // What is not proven to be of this history is sent again; followers know events by their ids.
        let settled: Vec<EntryId> = (0..self.senders.len())
            .map(|index| self.followers.proven_by_all(index))
            .collect();
        let checkpoints = self
            .outbox
            .begin_generation(&self.leases(), &settled, self.pace.generation_seen)
            .await?;
        let generation = checkpoints.first().map_or(0, |first| first.at.high);
        warn!(
            stream = %self.descriptor.stream, generation, %reason,
            "a new generation begins: what some follower has not settled is sent again"
        );
        for (sender, checkpoint) in self.senders.iter_mut().zip(checkpoints) {
            sender.floor = checkpoint.at;
            sender.lease.checkpoint = checkpoint;
            sender.appended = None;
            sender.rests_until = None;
            sender.forked = false;
            self.handle.unfork(&sender.lease.feed);
        }
        self.numbered.clear();
        // Once: a fork of the new generation is another matter.
        self.begin_generation = false;
        self.pace.begun = false;
        self.pace.announce = true;
        Ok(())
    }

    fn pause(&self, reason: &Error) {
        let state = State::Paused(reason.to_string());
        let set = |sender: &&Sender| self.handle.set_state(&sender.lease.feed, state.clone());
        if self.senders.iter().filter(set).count() > 0 {
            warn!(stream = %self.descriptor.stream, %reason, "relay paused");
        }
    }
}
