mod describing;
mod looking;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{self, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, error, error_span, info, warn};

use millstream_core::clock::Clock;
use millstream_core::entry::EntryId;
use millstream_core::error::ErrorKind;
use millstream_core::lease::{Feed, Lease, Role};
use millstream_core::mapping::Problem;
use millstream_core::name::{AppName, DatabaseId, InstanceId, StreamName};
use millstream_core::queue;
use millstream_core::retry::RetryPolicy;
use millstream_core::store::Store;

use crate::Transport;
use crate::backoff::{Backoff, pause};
use crate::consumer::following::Announced;
use crate::consumer::judge::Judge;
use crate::consumer::reporter::Reporter;
use crate::consumer::retries::Retries;
use crate::consumer::settler::{Pruning, Settler, backoff};
use crate::consumer::{Options, owned, shared};
use crate::membership::{Member, finish};
use crate::pace::Pace;
use crate::status::{FeedStatus, Handle};

pub use describing::fit;

use describing::Describing;

/// How many times, and how often, a consumer looks for publishers and other instances at first.
const LOOKS_AT_START: u32 = 50;
const START_INTERVAL: Duration = Duration::from_millis(100);

/// Why a consumer refuses to run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The mappings do not fit the tables.
    #[error("{} of the mappings cannot be used", .0.len())]
    Mappings(Vec<Problem>),
    /// Another database has settled events in this application's name.
    #[error(
        "the group {group} is held by another database ({held_by}); this one is {database}. \
         If the other one is gone for good, take the group over"
    )]
    GroupHeld {
        /// The application.
        group: AppName,
        /// The database that holds it.
        held_by: DatabaseId,
        /// The database that was opened.
        database: DatabaseId,
    },
    /// A new subscriber would lack events that are gone.
    #[error(
        "{stream} of {publisher} goes back to {base} in shard {shard} only: what came before is gone. \
         Fill the tables first, or follow from what there is. Until then its registration holds what the \
         publisher keeps"
    )]
    Late {
        /// The application that owns the stream.
        publisher: AppName,
        /// The stream.
        stream: StreamName,
        /// A shard whose beginning is gone.
        shard: u16,
        /// The last event that is gone.
        base: EntryId,
    },
    /// The database cannot be used as it is.
    #[error(transparent)]
    Store(#[from] millstream_core::error::Error),
}

/// Applies what arrives for an application.
///
/// Several instances of one application share its feeds. Whatever happens to any of them, each event
/// is settled once, in the order of its key, in one transaction with the checkpoint.
#[derive(Debug)]
pub struct Consumer {
    store: Arc<dyn Store>,
    transport: Transport,
    clock: Arc<dyn Clock>,
    options: Options,
    handle: Handle,
}

impl Consumer {
    /// Puts a consumer together. Nothing happens before [`run`](Self::run).
    pub fn new(
        store: Arc<dyn Store>,
        transport: Transport,
        clock: Arc<dyn Clock>,
        options: Options,
    ) -> Self {
        Self {
            store,
            transport,
            clock,
            options,
            handle: Handle::default(),
        }
    }

    /// A look at the consumer while it runs.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Checks everything that can be checked before the first event: our tables, the application's
    /// tables, and the mappings onto them.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run), and when the database is away.
    pub async fn check(&self) -> Result<(), Error> {
        self.store.identity().await?;
        self.judge().await.map(drop)
    }

    /// Runs until `shutdown`, then finishes the transactions at hand, publishes positions, gives the
    /// leases back, and returns.
    ///
    /// A database or a transport that is away is waited for.
    ///
    /// # Errors
    ///
    /// Before the first event: when mappings do not fit the tables, when our tables are missing or
    /// belong to another application, when another database holds the group.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        // Lines of each level are to name the application, so no filter of levels may leave it out.
        let span = error_span!("consumer", application = %self.options.application);
        self.work(shutdown).instrument(span).await
    }

    async fn work(self, shutdown: CancellationToken) -> Result<(), Error> {
        let Some((database, judge)) = self.prepare(&shutdown).await? else {
            return Ok(());
        };
        let mut running = Running {
            member: Member::new(
                self.store.clone(),
                Role::Consumer,
                self.options.instance.clone(),
                self.options.lease,
            ),
            consumer: self,
            database,
            judge: Arc::new(judge),
            describing: Describing::new(),
            tasks: JoinSet::new(),
            held: BTreeMap::new(),
            asked: HashMap::new(),
            stop: CancellationToken::new(),
        };
        let result = running.run(&shutdown).await;
        running.leave().await;
        result
    }

    /// Waits for the database, and refuses what cannot work. None when shutdown came first.
    async fn prepare(
        &self,
        shutdown: &CancellationToken,
    ) -> Result<Option<(DatabaseId, Judge)>, Error> {
        let mut backoff = Backoff::new(RetryPolicy::OUTAGE, 0);
        loop {
            let prepared = async {
                let identity = self.store.identity().await?;
                Ok((identity.database, self.judge().await?))
            };
            match prepared.await {
                Err(Error::Store(reason)) if reason.kind() == ErrorKind::Unavailable => {
                    self.pause(&reason);
                    if !backoff.wait(shutdown).await {
                        return Ok(None);
                    }
                }
                result => {
                    self.resume();
                    return result.map(Some);
                }
            }
        }
    }

    fn pause(&self, reason: &millstream_core::error::Error) {
        let reason = reason.to_string();
        if self.handle.status().paused.as_ref() != Some(&reason) {
            warn!(%reason, "consumer paused");
            self.handle.update(|status| status.paused = Some(reason));
        }
    }

    fn resume(&self) {
        if self.handle.status().paused.is_some() {
            info!("consumer resumed");
            self.handle.update(|status| status.paused = None);
        }
    }
}

/// A consumer that has begun: its feeds, and a task for each.
struct Running {
    consumer: Consumer,
    member: Member,
    database: DatabaseId,
    judge: Arc<Judge>,
    describing: Describing,
    tasks: JoinSet<Lease>,
    held: BTreeMap<Feed, Held>,
    /// When each publisher was last asked for a registration.
    asked: HashMap<(StreamName, AppName), Instant>,
    stop: CancellationToken,
}

struct Held {
    lease: Lease,
    stop: CancellationToken,
    task: task::Id,
    announced: watch::Sender<Announced>,
    mark: Mark,
}

/// Where a feed was, and how often its publisher has spoken since.
#[derive(Debug, Default)]
struct Mark {
    at: EntryId,
    count: u64,
    changes: u32,
}

impl Running {
    async fn run(&mut self, shutdown: &CancellationToken) -> Result<(), Error> {
        for looks in 1_u32.. {
            match self.look().await {
                Ok(()) => match self.describing.unfit() {
                    Some(reason) => self.consumer.pause(reason),
                    None => self.consumer.resume(),
                },
                Err(Error::Store(reason)) => self.consumer.pause(&reason),
                Err(refusal) => return Err(refusal),
            }
            // Started together with its publishers, it need not wait long for their announcement.
            let interval = if looks <= LOOKS_AT_START {
                START_INTERVAL
            } else {
                self.member.interval()
            };
            tokio::select! {
                more = pause(interval, shutdown) => if !more { return Ok(()) },
                Some(ended) = self.tasks.join_next() => self.ended(ended).await,
                () = self.judge.outdated.notified() => self.describing.hurry(),
            }
        }
        Ok(())
    }

    async fn start(&mut self, lease: Lease, announced: Announced) -> Result<(), Error> {
        let options = &self.consumer.options;
        self.free_position(&lease).await?;
        let (announced, listening) = watch::channel(announced);
        let reporter = match &lease.feed {
            Feed::Owned(shard) => Some(Reporter {
                log: self.consumer.transport.log.clone(),
                application: options.application.clone(),
                database: self.database.clone(),
                shard: shard.clone(),
            }),
            Feed::Shared(_) => None,
        };
        let settler = Settler {
            store: self.consumer.store.clone(),
            transport: self.consumer.transport.clone(),
            clock: self.consumer.clock.clone(),
            handle: self.consumer.handle.clone(),
            reporter,
            announced: listening.clone(),
            member: queue::Member {
                group: options.application.clone(),
                consumer: member_name(&lease, options),
            },
            pace: Pace::new(options.transaction_time, options.batch_max),
            backoff: backoff(&lease),
            committed: lease.checkpoint.clone(),
            seen: lease.checkpoint.clone(),
            committed_at: Instant::now(),
            checked_at: Instant::now(),
            reported: (EntryId::ZERO, Instant::now()),
            exceptions: None,
            unsaid: 0,
            judge: self.judge.clone(),
            retries: Retries::new(Instant::now()),
            conflict_deadline: options.conflict_deadline,
            stuck_after: options.stuck_after,
            pruning: Pruning::new(options.inbox_retention, Instant::now()),
            undisturbed: Instant::now(),
            told_exceptions: None,
            lease: lease.clone(),
        };
        info!(feed = %lease.feed, epoch = lease.epoch, at = %lease.checkpoint.at, "feed acquired");
        let status = FeedStatus {
            at: lease.checkpoint.at,
            ..FeedStatus::default()
        };
        let feed = lease.feed.clone();
        self.consumer
            .handle
            .update(|all| drop(all.feeds.insert(feed, status)));

        let stop = self.stop.child_token();
        let task = match lease.feed.clone() {
            Feed::Owned(shard) => {
                let work = owned::run(shard, settler, listening, stop.clone());
                self.tasks.spawn(work.in_current_span())
            }
            Feed::Shared(stream) => {
                let idle = options.claim_idle;
                let work = shared::run(stream, settler, idle, stop.clone());
                self.tasks.spawn(work.in_current_span())
            }
        };
        let held = Held {
            stop,
            task: task.id(),
            announced,
            mark: Mark::default(),
            lease: lease.clone(),
        };
        self.held.insert(lease.feed, held);
        Ok(())
    }

    /// The publisher has registered this database: positions of another one in our name are over.
    /// Those of our own go too where the database was restored, since they only rise.
    async fn free_position(&self, lease: &Lease) -> Result<(), Error> {
        let Feed::Owned(shard) = &lease.feed else {
            return Ok(());
        };
        let group = &self.consumer.options.application;
        let log = &self.consumer.transport.log;
        for position in log.positions(shard).await? {
            if position.group != *group {
                continue;
            }
            let other = position.database != self.database;
            if other || position.at > lease.checkpoint.at {
                let (at, database) = (position.at, &position.database);
                warn!(%shard, %at, %database, "forgetting a published position");
                log.forget_positions(shard, group).await?;
            }
        }
        Ok(())
    }

    /// A task ended: it lost its lease, was told to give it back, or panicked.
    async fn ended(&mut self, ended: Result<Lease, tokio::task::JoinError>) {
        let lease = match ended {
            Ok(lease) => lease,
            Err(error) => {
                // A bug; the feed is acquired again, with a new epoch, by whoever looks next.
                error!(%error, "a feed's task panicked");
                self.held.retain(|_, held| held.task != error.id());
                return;
            }
        };
        self.held.remove(&lease.feed);
        self.consumer
            .handle
            .update(|status| drop(status.feeds.remove(&lease.feed)));
        if let Err(error) = self.consumer.store.release(&[lease]).await {
            self.consumer.pause(&error);
        }
    }

    /// Stops everything: transactions at hand are finished, then the leases given back.
    async fn leave(mut self) {
        self.stop.cancel();
        finish(&mut self.tasks).await;
        let leases: Vec<Lease> = self.held.into_values().map(|held| held.lease).collect();
        self.member.leave(&leases).await;
        self.consumer.handle.update(|status| status.feeds.clear());
    }
}

/// The name in a shared stream's group: one for all holders of the lease, so that groups do not fill
/// with names, and one for each instance where they compete.
fn member_name(lease: &Lease, options: &Options) -> InstanceId {
    if lease.is_shared_out() {
        return options.instance.clone();
    }
    InstanceId::new(options.application.as_str()).expect("both are names of the same form")
}
