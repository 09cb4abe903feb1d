//! A shared stream: a queue with a consumer group, deduped by event id.
//!
//! Usually one instance at a time works on it, under a lease, and in the order of ids. Instances may
//! compete for it instead: then each takes what it gets, and order holds only within one of them.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use millstream_core::entry::{Entry, EntryId};
use millstream_core::error::Error;
use millstream_core::lease::{Checkpoint, Feed, Lease};
use millstream_core::log::ReadLimit;
use millstream_core::name::StreamName;
use millstream_core::queue::{Claimed, Member};

use crate::consumer::held::{Held, WATCHED_MAX};
use crate::consumer::judge::Judge;
use crate::consumer::settler::{Settler, Stop};

/// Bytes of one read.
const READ_BYTES_MAX: usize = 1024 * 1024;

/// How long a read waits for the first entry.
const READ_WAIT: Duration = Duration::from_secs(2);

/// How often competing instances look for entries that somebody holds for too long.
const CLAIM_INTERVAL: Duration = Duration::from_secs(5);

/// How often the group is made to forget consumers, and how long they have to be gone.
const TIDY_INTERVAL: Duration = Duration::from_secs(600);
const TIDY_IDLE: Duration = Duration::from_hours(1);

/// Works on the shared stream until it is told to stop or has lost the lease, and returns the lease.
pub(super) async fn run(
    stream: StreamName,
    mut settler: Settler,
    claim_idle: Duration,
    cancel: CancellationToken,
) -> Lease {
    let mut worker = Worker {
        stream,
        judge: settler.judge.clone(),
        cancel,
        competes: settler.lease.is_shared_out(),
        claim_idle,
        claimed_at: None,
        held: Held::default(),
        tidied_at: None,
        doubtful: true,
    };
    loop {
        let stop = match worker.look_again(&mut settler).await {
            Ok(()) => worker.work(&mut settler).await,
            Err(stop) => stop,
        };
        match stop {
            Stop::Moved => {}
            Stop::Lost | Stop::Rewound | Stop::Cancelled => return settler.lease,
        }
    }
}

struct Worker {
    stream: StreamName,
    judge: Arc<Judge>,
    cancel: CancellationToken,
    /// Whether other instances work on the stream at the same time.
    competes: bool,
    claim_idle: Duration,
    claimed_at: Option<Instant>,
    held: Held,
    tidied_at: Option<Instant>,
    /// Whether entries may have been handed to us that never arrived.
    doubtful: bool,
}

impl Worker {
    async fn work(&mut self, settler: &mut Settler) -> Stop {
        loop {
            let limit = ReadLimit {
                count: settler.batch_size(),
                bytes: READ_BYTES_MAX,
            };
            if let Err(stop) = self.step(settler, limit).await {
                return stop;
            }
        }
    }

    /// What was handed out above the checkpoint was acked too, unless it is pending; and the database may
    /// have forgotten that, if it is an older one than it was. The inbox knows what is there.
    async fn look_again(&self, settler: &mut Settler) -> Result<(), Stop> {
        if self.competes {
            return Ok(());
        }
        let queue = settler.transport.queue.clone();
        let through = loop {
            match queue.groups(&self.stream).await {
                Ok(groups) => {
                    let mut groups = groups.into_iter();
                    let own = groups.find(|group| group.name == settler.member.group);
                    break own.map_or(EntryId::ZERO, |group| group.last_delivered);
                }
                Err(error) => self.wait_out(settler, &error).await?,
            }
        };
        let mut after = settler.committed.at;
        if after < through {
            info!(stream = %self.stream, %after, %through, "looking again at what was handed out");
        }
        while after < through {
            let limit = ReadLimit {
                count: settler.batch_size(),
                bytes: READ_BYTES_MAX,
            };
            match queue.range(&self.stream, after, limit).await {
                Ok(mut entries) => {
                    entries.retain(|entry| entry.id <= through);
                    let Some(last) = entries.last() else {
                        return Ok(());
                    };
                    after = last.id;
                    self.settle(settler, entries).await?;
                }
                Err(error) => self.wait_out(settler, &error).await?,
            }
        }
        Ok(())
    }

    async fn step(&mut self, settler: &mut Settler, limit: ReadLimit) -> Result<(), Stop> {
        self.tidy(settler).await;
        if self.competes {
            self.take_over(settler, limit).await?;
        } else {
            settler.idle(&self.cancel).await?;
            // Whoever held the lease before may have taken entries and died, or may take some still
            // while its last read is on the way: they come first, in the order of ids.
            while let Some(entries) = self.claim(settler, limit).await? {
                self.settle(settler, entries).await?;
            }
        }
        settler.retry(&self.cancel).await?;
        settler.prune().await;
        let queue = settler.transport.queue.clone();
        let wait = READ_WAIT.min(settler.until_retry());
        let read = queue.read_group(&self.stream, &settler.member, limit, wait);
        let entries = tokio::select! {
            entries = read => entries,
            () = self.cancel.cancelled() => return Err(Stop::Cancelled),
        };
        match entries {
            Ok(entries) => {
                // A database that is away is another matter.
                if settler.backoff.failures() > 0 {
                    settler.resume();
                }
                let Some(first) = entries.first() else {
                    return Ok(());
                };
                if !self.competes {
                    let first = first.id;
                    while self.is_earlier_pending(settler, first).await? {
                        let Some(earlier) = self.claim(settler, limit).await? else {
                            break;
                        };
                        self.settle(settler, earlier).await?;
                    }
                }
                self.settle(settler, entries).await
            }
            Err(error) => {
                self.doubtful = true;
                self.wait_out(settler, &error).await
            }
        }
    }

    /// As one of many: first what was handed to us and never arrived, then what others left behind.
    async fn take_over(&mut self, settler: &mut Settler, limit: ReadLimit) -> Result<(), Stop> {
        while self.doubtful {
            let queue = settler.transport.queue.clone();
            let own = queue.history(&self.stream, &settler.member, EntryId::ZERO, limit);
            match own.await {
                Ok(own) => {
                    self.doubtful = !own.entries.is_empty();
                    self.settle_claimed(settler, own).await?;
                }
                Err(error) => self.wait_out(settler, &error).await?,
            }
        }
        let is_due = |at: Instant| at.elapsed() >= CLAIM_INTERVAL.min(self.claim_idle);
        if !self.claimed_at.is_none_or(is_due) {
            return Ok(());
        }
        self.claimed_at = Some(Instant::now());
        let mut after = Some(EntryId::ZERO);
        while let Some(from) = after {
            let queue = settler.transport.queue.clone();
            let claim = queue.claim(&self.stream, &settler.member, self.claim_idle, from, limit);
            match claim.await {
                Ok(claimed) => {
                    after = claimed.next;
                    self.settle_claimed(settler, claimed).await?;
                }
                Err(error) => {
                    self.doubtful = true;
                    self.wait_out(settler, &error).await?;
                }
            }
        }
        self.take_over_by_own_clock(settler).await
    }

    /// What nobody has moved for long, whatever the transport's clock says. Mostly nothing: an entry
    /// that is idle by both clocks was claimed just before.
    async fn take_over_by_own_clock(&mut self, settler: &mut Settler) -> Result<(), Stop> {
        let queue = settler.transport.queue.clone();
        let Member { group, consumer } = settler.member.clone();
        let pending = queue
            .pending(&self.stream, &group, EntryId::ZERO, WATCHED_MAX)
            .await;
        let pending = match pending {
            Ok(pending) => pending,
            Err(error) => return self.wait_out(settler, &error).await,
        };
        let one = ReadLimit { count: 1, bytes: 1 };
        let now = Instant::now();
        for id in self.held.look(&consumer, pending, self.claim_idle, now) {
            let claim = queue.claim(
                &self.stream,
                &settler.member,
                Duration::ZERO,
                id.before(),
                one,
            );
            match claim.await {
                Ok(claimed) => self.settle_claimed(settler, claimed).await?,
                Err(error) => {
                    self.doubtful = true;
                    return self.wait_out(settler, &error).await;
                }
            }
        }
        Ok(())
    }

    async fn settle_claimed(&self, settler: &mut Settler, claimed: Claimed) -> Result<(), Stop> {
        self.report_gone(&claimed);
        if claimed.entries.is_empty() {
            return Ok(());
        }
        self.settle(settler, claimed.entries).await
    }

    /// Has the group forget instances that are gone for good: their names would stay for ever.
    async fn tidy(&mut self, settler: &Settler) {
        if self
            .tidied_at
            .is_some_and(|at| at.elapsed() < TIDY_INTERVAL)
        {
            return;
        }
        self.tidied_at = Some(Instant::now());
        let (queue, group) = (&settler.transport.queue, &settler.member.group);
        let consumers = match queue.consumers(&self.stream, group).await {
            Ok(consumers) => consumers,
            Err(error) => {
                debug!(stream = %self.stream, %error, "consumers of the group cannot be looked at");
                return;
            }
        };
        let own = &settler.member.consumer;
        for gone in consumers
            .into_iter()
            .filter(|known| known.name != *own && known.pending == 0 && known.idle >= TIDY_IDLE)
        {
            let member = Member {
                group: group.clone(),
                consumer: gone.name,
            };
            if let Ok(true) = queue.forget_consumer(&self.stream, &member).await {
                info!(stream = %self.stream, consumer = %member.consumer, "consumer forgotten");
            }
        }
    }

    /// The next pending entries of the group, whoever holds them; none when nothing is pending.
    async fn claim(
        &self,
        settler: &mut Settler,
        limit: ReadLimit,
    ) -> Result<Option<Vec<Entry>>, Stop> {
        let mut after = EntryId::ZERO;
        loop {
            let queue = settler.transport.queue.clone();
            let claim = queue.claim(&self.stream, &settler.member, Duration::ZERO, after, limit);
            let claimed = claim.await;
            match claimed {
                Ok(claimed) => {
                    self.report_gone(&claimed);
                    match claimed.next {
                        // All that was looked at is gone; what comes after may not be.
                        Some(next) if claimed.entries.is_empty() => after = next,
                        _ => {
                            let some = !claimed.entries.is_empty();
                            return Ok(some.then_some(claimed.entries));
                        }
                    }
                }
                Err(error) => self.wait_out(settler, &error).await?,
            }
        }
    }

    /// Whether an entry below `id` is pending: a predecessor took it after we had claimed.
    async fn is_earlier_pending(&self, settler: &mut Settler, id: EntryId) -> Result<bool, Stop> {
        loop {
            let queue = settler.transport.queue.clone();
            let group = &settler.member.group;
            match queue.pending(&self.stream, group, EntryId::ZERO, 1).await {
                Ok(pending) => return Ok(pending.first().is_some_and(|entry| entry.id < id)),
                Err(error) => self.wait_out(settler, &error).await?,
            }
        }
    }

    fn report_gone(&self, claimed: &Claimed) {
        if !claimed.gone.is_empty() {
            let gone = claimed.gone.len();
            warn!(stream = %self.stream, gone, "pending entries were removed from the stream before they were settled");
        }
    }

    async fn settle(&self, settler: &mut Settler, entries: Vec<Entry>) -> Result<(), Stop> {
        if self.cancel.is_cancelled() {
            return Err(Stop::Cancelled);
        }
        let feed = Feed::Shared(self.stream.clone());
        let mut to = settler.seen.clone();
        let mut deliveries = Vec::with_capacity(entries.len());
        let mut passed_over = Vec::new();
        for entry in entries {
            let id = entry.id;
            let judged = self.judge.judge(&feed, entry);
            match judged.delivery {
                Some(delivery) => deliveries.push(delivery),
                None => passed_over.push(id),
            }
            if id > to.at {
                to = Checkpoint {
                    at: id,
                    event_id: judged.at.event_id,
                };
            }
        }
        if deliveries.is_empty() {
            settler.pass_over(to);
        } else {
            settler.settle(deliveries, to, &self.cancel).await?;
        }
        settler.ack_passed_over(&passed_over, &self.cancel).await
    }

    async fn wait_out(&self, settler: &mut Settler, error: &Error) -> Result<(), Stop> {
        settler.pause(error);
        if settler.backoff.wait(&self.cancel).await {
            Ok(())
        } else {
            Err(Stop::Cancelled)
        }
    }
}
