//! Relay and consumers while the CRM lives, until everything has been settled.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use indicatif::ProgressBar;
use tokio::task::JoinSet;

use millstream::core::delivery::Counts;
use millstream::core::name::AppName;
use millstream::core::outbox::Outbox;
use millstream::engine::status::{Handle, State};
use millstream::{App, Config, Transport};

use crate::commands::demo::crm::Crm;
use crate::commands::demo::generate::Events;
use crate::commands::run::explain;
use crate::context;
use crate::output::Progress;
use crate::shutdown;

/// How often progress is looked at.
const INTERVAL: Duration = Duration::from_millis(50);

/// What an application did.
pub(super) struct Ran {
    pub(super) counts: Counts,
    /// Events that it settled in this run, and in which time.
    pub(super) settled: u64,
    pub(super) took: Duration,
}

/// A consumer while it runs.
struct Follower {
    app: App,
    handle: Handle,
    bar: ProgressBar,
    done: Option<Duration>,
}

/// Lets the CRM live and waits until every application has settled everything.
pub(super) async fn run(
    config: &Config,
    dir: &Path,
    events: Events,
    progress: &Progress,
) -> anyhow::Result<BTreeMap<AppName, Ran>> {
    let transport = context::connect(config).await?;
    let stop = shutdown::on_signal()?;
    let mut services = JoinSet::new();
    let crm = context::find(config, "crm")?.clone();

    let published = progress.bar("published", None);
    let sent = progress.bar("sent", None);
    let relay = crm.relay(&transport);
    let relay_handle = relay.handle();
    let relay_stop = stop.clone();
    services.spawn(async move { Ok(relay.run(relay_stop).await?) });

    let mut followers = Vec::new();
    for app in config
        .apps
        .values()
        .filter(|app| !app.subscribes().is_empty())
    {
        let consumer = app.consumer(&transport)?;
        let bar = progress.bar(&format!("{} applied", app.name()), None);
        followers.push(Follower {
            app: app.clone(),
            handle: consumer.handle(),
            bar,
            done: None,
        });
        let (config, name, stop) = (config.clone(), app.name().clone(), stop.clone());
        services.spawn(async move {
            consumer
                .run(stop)
                .await
                .map_err(|error| explain(&config, &name, error))
        });
    }

    let started = Instant::now();
    let mut application = Crm::open(dir)?;
    let bar = published.clone();
    let mut living =
        tokio::task::spawn_blocking(move || application.live(events, |count| bar.inc(count)));
    let watch = Watch {
        transport,
        crm,
        relay: relay_handle,
        sent,
        started,
    };
    let mut lived = None;
    let outcome = loop {
        tokio::select! {
            result = &mut living, if lived.is_none() => {
                published.finish();
                lived = Some(result.context("the CRM panicked")?);
            }
            Some(ended) = services.join_next() => {
                break match ended.context("a service panicked")? {
                    Ok(()) if stop.is_cancelled() => Err(anyhow!("stopped; the same command goes on")),
                    Ok(()) => Err(anyhow!("a service ended by itself")),
                    Err(error) => Err(error),
                };
            }
            () = tokio::time::sleep(INTERVAL) => {
                if watch.look(&mut followers, lived.is_some()).await? {
                    break Ok(());
                }
            }
        }
    };
    stop.cancel();
    while services.join_next().await.is_some() {}
    outcome?;
    lived.context("the CRM has not ended")?.context("crm")?;

    let mut ran = BTreeMap::new();
    for follower in followers {
        let status = follower.handle.status();
        let counts = follower.app.database().counts().await?;
        ran.insert(
            follower.app.name().clone(),
            Ran {
                counts,
                settled: status.counts.total(),
                took: follower.done.unwrap_or(started.elapsed()),
            },
        );
    }
    Ok(ran)
}

struct Watch {
    transport: Transport,
    crm: App,
    relay: Handle,
    sent: ProgressBar,
    started: Instant,
}

impl Watch {
    /// Moves the bars, and says whether everything that was published has been settled.
    async fn look(&self, followers: &mut [Follower], lived: bool) -> anyhow::Result<bool> {
        let relay = self.relay.status();
        self.sent.set_position(relay.sent);
        complain(&self.sent, &relay);
        for follower in &mut *followers {
            let status = follower.handle.status();
            follower.bar.set_position(status.counts.total());
            complain(&follower.bar, &status);
        }
        if !lived {
            return Ok(false);
        }
        let outbox = self.crm.database();
        for stream in self.crm.publishes() {
            // In this order, and before anybody counts as done: what is numbered may be on its way still.
            if outbox.unsent(&stream.name).await? > 0 || !self.all_sent(&*outbox).await? {
                return Ok(false);
            }
            let publishers = self.transport.log.publishers(Some(&stream.name)).await?;
            let Some(publisher) = publishers
                .iter()
                .find(|known| known.owner == *self.crm.name())
            else {
                return Ok(false);
            };
            for follower in &mut *followers {
                let mut settled = true;
                for shard in publisher.shards() {
                    let last = self.transport.log.describe(&shard).await?.last;
                    let positions = self.transport.log.positions(&shard).await?;
                    let position = positions
                        .iter()
                        .find(|position| position.group == *follower.app.name());
                    let empty = last == millstream::core::entry::EntryId::ZERO;
                    settled &= empty || position.is_some_and(|position| position.at == last);
                    if position.is_some_and(|position| position.at > last) {
                        bail!(
                            "{shard}: the log holds less than {} has settled",
                            follower.app.name()
                        );
                    }
                }
                if settled && follower.done.is_none() {
                    follower.done = Some(self.started.elapsed());
                    follower.bar.finish();
                }
            }
        }
        Ok(followers.iter().all(|follower| follower.done.is_some())
            && relay
                .feeds
                .values()
                .all(|feed| feed.state == State::Running))
    }

    /// Whether what was numbered is also in the streams.
    async fn all_sent(&self, outbox: &dyn Outbox) -> anyhow::Result<bool> {
        use millstream::core::lease::{Feed, Role};

        for row in outbox.leases(Role::Relay).await? {
            if let Feed::Owned(shard) = &row.feed
                && self.transport.log.describe(shard).await?.last != row.checkpoint.at
            {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Shows on the bar why nothing moves, where that is so.
fn complain(bar: &ProgressBar, status: &millstream::engine::status::Status) {
    let feed = status.feeds.values().find_map(|feed| match &feed.state {
        State::Paused(reason) | State::Stalled(reason) => Some(reason.clone()),
        _ => None,
    });
    if let Some(reason) = status.paused.clone().or(feed) {
        bar.set_message(reason);
    }
}
