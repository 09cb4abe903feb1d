use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{self, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, error, error_span, info, warn};

use millstream_core::clock::Clock;
use millstream_core::descriptor::Descriptor;
use millstream_core::entry::Shard;
use millstream_core::error::ErrorKind;
use millstream_core::lease::{Feed, Lease, LeaseRow, Role};
use millstream_core::log::Log;
use millstream_core::name::{DatabaseId, StreamName};
use millstream_core::outbox::Outbox;
use millstream_core::retry::RetryPolicy;

use crate::backoff::{Backoff, pause};
use crate::membership::{Member, Unit, finish};
use crate::relay::followers::Followers;
use crate::relay::stream::{Pace, StreamRelay};
use crate::relay::{Options, StreamOptions};
use crate::status::{FeedStatus, Handle};

/// Why a relay refuses to run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration names another number of shards than the stream has.
    #[error(
        "{stream} has {found} shards and cannot be changed to {configured} while it is in use: \
         events of one entity would be in two shards. Set shards = {found}, or publish to a new \
         stream and let every subscriber read both"
    )]
    ShardsChanged {
        /// The stream.
        stream: StreamName,
        /// What the database says.
        found: u16,
        /// What the configuration says.
        configured: u16,
    },
    /// The database cannot be used as it is.
    #[error(transparent)]
    Store(#[from] millstream_core::error::Error),
}

/// Sends an application's outbox.
///
/// Several instances may run; each stream is sent by one of them. Whatever happens to any, each
/// committed row is in its stream once, in the order of its key.
#[derive(Debug)]
pub struct Relay {
    outbox: Arc<dyn Outbox>,
    log: Arc<dyn Log>,
    clock: Arc<dyn Clock>,
    options: Options,
    handle: Handle,
}

impl Relay {
    /// Puts a relay together. Nothing happens before [`run`](Self::run).
    pub fn new(
        outbox: Arc<dyn Outbox>,
        log: Arc<dyn Log>,
        clock: Arc<dyn Clock>,
        options: Options,
    ) -> Self {
        Self {
            outbox,
            log,
            clock,
            options,
            handle: Handle::default(),
        }
    }

    /// A look at the relay while it runs.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Runs until `shutdown`, then finishes what was numbered, gives the leases back, and returns.
    ///
    /// A database or a transport that is away is waited for.
    ///
    /// # Errors
    ///
    /// Before the first event: when our tables are missing or belong to another application, when
    /// the number of shards was changed.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        // Lines of each level are to name the application, so no filter of levels may leave it out.
        let span = error_span!("relay", application = %self.options.application);
        self.work(shutdown).instrument(span).await
    }

    async fn work(self, shutdown: CancellationToken) -> Result<(), Error> {
        let Some(database) = self.prepare(&shutdown).await? else {
            return Ok(());
        };
        let member = Member::new(
            self.outbox.clone(),
            Role::Relay,
            self.options.instance.clone(),
            self.options.lease,
        );
        let mut running = Running {
            relay: self,
            member,
            database,
            tasks: JoinSet::new(),
            held: BTreeMap::new(),
            adopted_at: Instant::now(),
            stop: CancellationToken::new(),
        };
        running.run(&shutdown).await;
        running.leave().await;
        Ok(())
    }

    /// Waits for the database, and refuses what cannot work. None when shutdown came first.
    async fn prepare(&self, shutdown: &CancellationToken) -> Result<Option<DatabaseId>, Error> {
        let mut backoff = Backoff::new(RetryPolicy::OUTAGE, 0);
        loop {
            match self.register().await {
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

    async fn register(&self) -> Result<DatabaseId, Error> {
        let identity = self.outbox.identity().await?;
        let rows = self.outbox.leases(Role::Relay).await?;
        for stream in &self.options.publishes {
            fit(&rows, stream)?;
            let shard = |number| {
                Feed::Owned(Shard {
                    stream: stream.name.clone(),
                    owner: self.options.application.clone(),
                    number,
                })
            };
            let feeds: Vec<Feed> = (0..stream.shards).map(shard).collect();
            self.outbox.register(Role::Relay, &feeds).await?;
        }
        let streams: Vec<StreamName> = self
            .options
            .publishes
            .iter()
            .map(|stream| stream.name.clone())
            .collect();
        if let Some(first) = streams.first() {
            self.outbox.adopt(first).await?;
        }
        let stranded = self.outbox.stranded(&streams).await?;
        if stranded > 0 {
            warn!(
                stranded,
                "events in the outbox name a stream that is not published: nobody sends them"
            );
        }
        Ok(identity.database)
    }

    fn pause(&self, reason: &millstream_core::error::Error) {
        let reason = reason.to_string();
        if self.handle.status().paused.as_ref() != Some(&reason) {
            warn!(%reason, "relay paused");
            self.handle.update(|status| status.paused = Some(reason));
        }
    }

    fn resume(&self) {
        if self.handle.status().paused.is_some() {
            info!("relay resumed");
            self.handle.update(|status| status.paused = None);
        }
    }
}

/// Compares a stream with the rows of [`Role::Relay`] in its publisher's database, as each relay does
/// before it sends anything. One that has none there is new, and may have any number of shards.
///
/// # Errors
///
/// [`Error::ShardsChanged`] when it has another number of shards there.
pub fn fit(rows: &[LeaseRow], stream: &StreamOptions) -> Result<(), Error> {
    let is_of = |row: &&LeaseRow| *row.feed.stream() == stream.name;
    let found = u16::try_from(rows.iter().filter(is_of).count()).unwrap_or(u16::MAX);
    if found != 0 && found != stream.shards {
        return Err(Error::ShardsChanged {
            stream: stream.name.clone(),
            found,
            configured: stream.shards,
        });
    }
    Ok(())
}

/// How often rows without a stream are looked for.
const ADOPT_INTERVAL: Duration = Duration::from_secs(60);

/// A relay that has begun: its streams, and a task for each.
struct Running {
    relay: Relay,
    member: Member,
    database: DatabaseId,
    tasks: JoinSet<Vec<Lease>>,
    held: BTreeMap<StreamName, Held>,
    /// When rows without a stream were last looked for.
    adopted_at: Instant,
    stop: CancellationToken,
}

struct Held {
    leases: Vec<Lease>,
    stop: CancellationToken,
    task: task::Id,
}

impl Running {
    async fn run(&mut self, shutdown: &CancellationToken) {
        loop {
            match self.look().await {
                Ok(()) => self.relay.resume(),
                Err(reason) => self.relay.pause(&reason),
            }
            tokio::select! {
                more = pause(self.member.interval(), shutdown) => if !more { return },
                Some(ended) = self.tasks.join_next() => self.ended(ended).await,
            }
        }
    }

    async fn look(&mut self) -> Result<(), millstream_core::error::Error> {
        let publishes = &self.relay.options.publishes;
        let held = &self.held;
        let change = self
            .member
            .look(
                |rows| units(rows, publishes),
                |unit: &Unit| held.contains_key(unit[0].feed.stream()),
            )
            .await?;
        for unit in &change.release {
            if let Some(held) = self.held.get(unit[0].feed.stream()) {
                held.stop.cancel();
            }
        }
        for leases in change.acquired {
            self.start(leases);
        }
        // A transaction that began before there was a stream may have committed rows without one.
        if !self.held.is_empty()
            && self.adopted_at.elapsed() >= ADOPT_INTERVAL
            && let Some(first) = self.relay.options.publishes.first()
        {
            self.relay.outbox.adopt(&first.name).await?;
            self.adopted_at = Instant::now();
        }
        Ok(())
    }

    fn start(&mut self, leases: Vec<Lease>) {
        let stream = leases[0].feed.stream().clone();
        info!(%stream, epoch = leases[0].epoch, "stream acquired");
        self.relay.handle.update(|status| {
            for lease in &leases {
                let feed = FeedStatus {
                    at: lease.checkpoint.at,
                    ..FeedStatus::default()
                };
                status.feeds.insert(lease.feed.clone(), feed);
            }
        });
        let stop = self.stop.child_token();
        let options = self
            .relay
            .options
            .publishes
            .iter()
            .find(|options| options.name == stream)
            .expect("leases are only taken on streams that are published to")
            .clone();
        let (outbox, log) = (&self.relay.outbox, &self.relay.log);
        let relay = StreamRelay {
            outbox: outbox.clone(),
            log: log.clone(),
            clock: self.relay.clock.clone(),
            handle: self.relay.handle.clone(),
            descriptor: Descriptor::new(
                stream.clone(),
                self.relay.options.application.clone(),
                self.database.clone(),
                u16::try_from(leases.len()).unwrap_or(u16::MAX),
            ),
            options,
            begin_generation: self.relay.options.begin_generation,
            batch_max: self.relay.options.batch_max,
            cancel: stop.clone(),
            senders: StreamRelay::senders(outbox, log, leases.clone()),
            followers: Followers::default(),
            pace: Pace::default(),
            numbered: Vec::new(),
        };
        let task = self.tasks.spawn(relay.run().in_current_span()).id();
        self.held.insert(stream, Held { leases, stop, task });
    }

    async fn ended(&mut self, ended: Result<Vec<Lease>, tokio::task::JoinError>) {
        let leases = match ended {
            Ok(leases) => leases,
            Err(error) => {
                // A bug; the stream is acquired again, with a new epoch, by whoever looks next.
                error!(%error, "a stream's task panicked");
                self.held.retain(|_, held| held.task != error.id());
                return;
            }
        };
        self.held.remove(leases[0].feed.stream());
        self.relay.handle.update(|status| {
            status
                .feeds
                .retain(|feed, _| leases.iter().all(|lease| lease.feed != *feed));
        });
        if let Err(error) = self.relay.outbox.release(&leases).await {
            self.relay.pause(&error);
        }
    }

    async fn leave(mut self) {
        self.stop.cancel();
        finish(&mut self.tasks).await;
        let leases: Vec<Lease> = self
            .held
            .into_values()
            .flat_map(|held| held.leases)
            .collect();
        self.member.leave(&leases).await;
        self.relay.handle.update(|status| status.feeds.clear());
    }
}

/// The shards of each stream that is published to, in their order.
fn units(rows: Vec<LeaseRow>, publishes: &[StreamOptions]) -> Vec<Unit> {
    publishes
        .iter()
        .map(|stream| {
            rows.iter()
                .filter(|row| *row.feed.stream() == stream.name)
                .cloned()
                .collect::<Unit>()
        })
        .filter(|unit| !unit.is_empty())
        .collect()
}
