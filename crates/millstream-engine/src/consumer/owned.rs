//! One shard of an owned stream: a log, read from the checkpoint.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument, debug, error, warn};

use millstream_core::entry::{EntryId, Shard};
use millstream_core::lease::{Checkpoint, Feed, Lease};
use millstream_core::log::{Log, ReadLimit};
use millstream_core::wire;

use crate::backoff::pause;
use crate::consumer::following::Announced;
use crate::consumer::judge::{Break, Judge, Judged, follows};
use crate::consumer::reporter::Reporter;
use crate::consumer::settler::{Settler, Stop, backoff};
use crate::status::{Handle, State};

/// Chunks that wait between reading and applying; one more is being read.
const READ_AHEAD_CHUNKS: usize = 4;

/// Entries of one chunk. Reading costs little, so chunks are smaller than batches: what waits is
/// what memory holds, for each shard.
const CHUNK_MAX: usize = 250;

/// Bytes of one chunk.
const CHUNK_BYTES_MAX: usize = 512 * 1024;

/// How long a read waits for the first entry.
const READ_WAIT: Duration = Duration::from_secs(2);

/// How often a feed without arrivals looks whether something is left to settle or to report, and how
/// often once nothing is.
const IDLE_INTERVAL: Duration = Duration::from_millis(100);
const IDLE_INTERVAL_MAX: Duration = Duration::from_secs(1);

/// How often a stalled shard is read again.
const STALLED_WAIT: Duration = Duration::from_secs(1);

/// How long an entry that is announced may be on its way before its publisher is asked for it, and how
/// long until it is asked again.
const MISSING_MAX: Duration = Duration::from_secs(3);

/// How long a request may go unanswered before the shard shows as stalled.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Works on a shard until it is told to stop, has lost the lease, or finds its database further back
/// than it was; returns the lease.
pub(super) async fn run(
    shard: Shard,
    mut settler: Settler,
    announced: watch::Receiver<Announced>,
    cancel: CancellationToken,
) -> Lease {
    let base = announced.borrow().base;
    // Written down, so that what was never read cannot be taken for what is missing, nor the reverse.
    if settler.committed.at == EntryId::ZERO && base != EntryId::ZERO {
        let begin = Checkpoint {
            at: base,
            event_id: None,
        };
        if settler.settle(Vec::new(), begin, &cancel).await.is_err() {
            return settler.lease;
        }
    }
    loop {
        let (chunks, arrived) = mpsc::channel(READ_AHEAD_CHUNKS);
        let reader = Reader {
            log: settler.transport.log.clone(),
            shard: shard.clone(),
            judge: settler.judge.clone(),
            handle: settler.handle.clone(),
            reporter: settler.reporter.clone(),
            announced: announced.clone(),
            missing: Missing::default(),
            limit: ReadLimit {
                count: CHUNK_MAX,
                bytes: CHUNK_BYTES_MAX,
            },
        };
        let last = settler.committed.clone();
        let lease = settler.lease.clone();
        let stop = cancel.child_token();
        let reading = async move { reader.run(last, &lease, chunks, &stop).await };
        let reader = AbortOnDropHandle::new(tokio::spawn(reading.in_current_span()));
        let stop = pump(arrived, &mut settler, &cancel).await;
        drop(reader);
        match stop {
            Stop::Moved => {}
            Stop::Lost | Stop::Rewound => return settler.lease,
            Stop::Cancelled => {
                settler.finish().await;
                return settler.lease;
            }
        }
    }
}

/// Settles what the reader brings, as fast as the database takes it.
async fn pump(
    mut arrived: mpsc::Receiver<Vec<Judged>>,
    settler: &mut Settler,
    cancel: &CancellationToken,
) -> Stop {
    let mut waiting: VecDeque<Judged> = VecDeque::new();
    loop {
        if cancel.is_cancelled() {
            return Stop::Cancelled;
        }
        if let Err(stop) = settler.retry(cancel).await {
            return stop;
        }
        settler.prune().await;
        while waiting.len() < settler.batch_size() {
            let Ok(chunk) = arrived.try_recv() else { break };
            waiting.extend(chunk);
        }
        let step = if waiting.is_empty() {
            let interval = if settler.is_level() {
                IDLE_INTERVAL_MAX
            } else {
                IDLE_INTERVAL
            };
            tokio::select! {
                chunk = arrived.recv() => match chunk {
                    Some(chunk) => { waiting.extend(chunk); continue; }
                    None => return Stop::Cancelled,
                },
                () = tokio::time::sleep(interval.min(settler.until_retry())) => {
                    settler.idle(cancel).await
                }
                () = cancel.cancelled() => return Stop::Cancelled,
            }
        } else {
            settle_next(&mut waiting, settler, cancel).await
        };
        if let Err(stop) = step {
            return stop;
        }
    }
}

async fn settle_next(
    waiting: &mut VecDeque<Judged>,
    settler: &mut Settler,
    cancel: &CancellationToken,
) -> Result<(), Stop> {
    let count = waiting.len().min(settler.batch_size());
    let mut to = settler.seen.clone();
    let mut deliveries = Vec::with_capacity(count);
    for judged in waiting.drain(..count) {
        to = judged.at;
        deliveries.extend(judged.delivery);
    }
    if deliveries.is_empty() {
        settler.pass_over(to);
        settler.idle(cancel).await
    } else {
        settler.settle(deliveries, to, cancel).await
    }
}

/// Reads ahead of the transactions, and judges while they run.
struct Reader {
    log: Arc<dyn Log>,
    shard: Shard,
    judge: Arc<Judge>,
    handle: Handle,
    reporter: Option<Reporter>,
    announced: watch::Receiver<Announced>,
    missing: Missing,
    limit: ReadLimit,
}

/// What is known of an entry that should be there.
#[derive(Debug, Default)]
struct Missing {
    /// Since when, and after what.
    since: Option<(Instant, EntryId)>,
    /// When its publisher was last asked.
    asked: Option<Instant>,
}

impl Reader {
    async fn run(
        mut self,
        mut last: Checkpoint,
        lease: &Lease,
        chunks: mpsc::Sender<Vec<Judged>>,
        cancel: &CancellationToken,
    ) {
        let mut backoff = backoff(lease);
        let feed = Feed::Owned(self.shard.clone());
        loop {
            let entries = match self
                .log
                .read(&self.shard, last.at, self.limit, READ_WAIT)
                .await
            {
                Ok(entries) => entries,
                Err(reason) => {
                    if self
                        .handle
                        .set_state(&feed, State::Paused(reason.to_string()))
                    {
                        warn!(%feed, %reason, "paused: cannot read");
                    }
                    if !backoff.wait(cancel).await {
                        return;
                    }
                    continue;
                }
            };
            if backoff.failures() > 0 {
                backoff.succeeded();
                self.handle.resume(&feed);
            }

            let (generation, left_behind) = {
                let announced = self.announced.borrow();
                (announced.generation, announced.bounds.left_behind)
            };
            let mut chunk = Vec::with_capacity(entries.len());
            let mut broken = None;
            for entry in entries {
                // Delivered again: judged and handed on before.
                if entry.id <= last.at {
                    continue;
                }
                // Its place belongs to an event of the owner, which a repair puts there.
                if !wire::is_of(&self.shard, &entry) {
                    broken = Some(Break::Foreign { found: entry.id });
                    break;
                }
                let judged = self.judge.judge(&feed, entry);
                if let Err(reason) = follows(&last, &judged, generation, left_behind) {
                    broken = Some(reason);
                    break;
                }
                last = judged.at.clone();
                chunk.push(judged);
            }
            let moved = !chunk.is_empty();
            if moved && chunks.send(chunk).await.is_err() {
                return;
            }
            match broken {
                Some(reason) => {
                    self.stall(&feed, &reason, last.at).await;
                    if !pause(STALLED_WAIT, cancel).await {
                        return;
                    }
                }
                None if moved => {
                    self.missing = Missing::default();
                    self.unstall(&feed, |state| !matches!(state, State::Paused(_)));
                }
                None => self.look_for(&feed, last.at).await,
            }
        }
    }

    /// Nothing arrived: is there something that should have?
    async fn look_for(&mut self, feed: &Feed, last: EntryId) {
        let top = self.announced.borrow().bounds.top.at;
        // A generation that has only begun holds nothing yet.
        if top <= last || top.low == 0 {
            self.missing = Missing::default();
            self.unstall(feed, |state| matches!(state, State::Stalled(_)));
            return;
        }
        let since = match self.missing.since {
            Some((since, after)) if after == last => since,
            _ => {
                self.missing.since = Some((Instant::now(), last));
                return;
            }
        };
        if since.elapsed() >= MISSING_MAX {
            self.ask(last).await;
        }
        if since.elapsed() >= ANSWER_MAX {
            let reason = format!("nothing comes after {last}, though the publisher is at {top}");
            self.set_stalled(feed, State::Stalled(reason));
        }
    }

    /// Asks the publisher for what comes after `last`, now and then.
    async fn ask(&mut self, last: EntryId) {
        if self
            .missing
            .asked
            .is_some_and(|asked| asked.elapsed() < MISSING_MAX)
        {
            return;
        }
        let Some(reporter) = &self.reporter else {
            return;
        };
        match reporter.ask_for_repair(last).await {
            Ok(()) => self.missing.asked = Some(Instant::now()),
            Err(reason) => debug!(shard = %self.shard, %reason, "not asked for repair"),
        }
    }

    async fn stall(&mut self, feed: &Feed, reason: &Break, last: EntryId) {
        match reason {
            Break::Gap { .. } | Break::Foreign { .. } => {
                self.ask(last).await;
                self.set_stalled(feed, State::Stalled(reason.to_string()));
            }
            Break::Fork { .. } => self.set_stalled(feed, State::Forked(reason.to_string())),
            // Its announcement is on its way, usually.
            Break::Unannounced { .. } => match self.missing.since {
                Some((since, after)) if after == last => {
                    if since.elapsed() >= ANSWER_MAX {
                        self.ask(last).await;
                        self.set_stalled(feed, State::Stalled(reason.to_string()));
                    }
                }
                _ => self.missing.since = Some((Instant::now(), last)),
            },
        }
    }

    fn set_stalled(&self, feed: &Feed, state: State) {
        if self.handle.set_state(feed, state.clone()) {
            let (State::Stalled(reason) | State::Forked(reason) | State::Paused(reason)) = state
            else {
                return;
            };
            error!(%feed, %reason, "stalled: nothing is settled beyond this");
        }
    }

    /// Shows the feed as running again if it is in a state that has ended.
    fn unstall(&self, feed: &Feed, ended: impl Fn(&State) -> bool) {
        if self
            .handle
            .status()
            .feeds
            .get(feed)
            .is_some_and(|known| known.state != State::Running && ended(&known.state))
        {
            self.handle.set_state(feed, State::Running);
        }
    }
}
