use std::thread;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use tokio::runtime::{Builder, Runtime};

use crate::check::{self, Extent};
use crate::fleet::Fleet;
use crate::history::History;
use crate::model::Model;
use crate::settle::{Bound, settle};
use crate::site::{Folder, Level, Log, Site, View, unsigned};
use crate::terminal::say;
use crate::watch::Watch;

/// How long everything may take to settle once nothing is in its way any more.
const SETTLE_MAX: Duration = Duration::from_secs(180);

/// How long it may take until all followers are registered.
const REGISTER_MAX: Duration = Duration::from_secs(60);

/// How often to look for something that a proof waits for.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// Events in a second while a proof waits for its moments: so few that relay and consumers keep up.
const PACE_MIN: f64 = 3_000.0;

/// How long a history may take at that pace; a longer one goes faster.
const HISTORY_SECONDS: f64 = 15.0;

/// A history on its way through a server, with all processes.
#[derive(Debug)]
pub(crate) struct Play {
    pub(crate) fleet: Fleet,
    pub(crate) view: View,
    /// How many events the history has.
    pub(crate) events: u64,
    history: History,
    model: Model,
    pub(crate) site: Site,
    watch: Watch,
    started: Instant,
}

/// What is to be told about a play that ended well.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) entries: u64,
    pub(crate) compared: &'static str,
    pub(crate) looks: u64,
    pub(crate) seconds: f64,
}

impl Play {
    /// Prepares a site whose events travel by `url`, starts all processes, and waits until all
    /// followers are registered; no event happens before it is allowed to. `eyes` leads to the same server past whatever is in the way.
    pub(crate) fn begin(
        folder: &Folder,
        history: History,
        url: &str,
        eyes: &str,
    ) -> anyhow::Result<Self> {
        let model = Model::of(&history)?;
        let site = Site::prepare(folder.path(), url)?;
        runtime()?.block_on(site.migrate())?;
        let view = || View::open(&site, Log::served(eyes)?);
        let watch = Watch::start(view()?);
        let fleet = Fleet::start(&site, &history, Some(pace(model.count)), Some(0))?;
        let mut play = Self {
            fleet,
            view: view()?,
            events: model.count,
            history,
            model,
            site,
            watch,
            started: Instant::now(),
        };
        play.until("nobody registers", REGISTER_MAX, |play| {
            let followers = Level::read(&play.view)?.followers;
            Ok(followers.values().all(|known| !known.receipts.is_empty()))
        })?;
        Ok(play)
    }

    /// Events that have happened.
    pub(crate) fn published(&self) -> anyhow::Result<u64> {
        let count = "SELECT count(*) FROM outbox";
        Ok(self.view.crm.query_row(count, [], |row| unsigned(row, 0))?)
    }

    /// Waits until so many events have happened.
    pub(crate) fn published_to(&mut self, events: u64) -> anyhow::Result<()> {
        self.until("the events do not happen", SETTLE_MAX, |play| {
            Ok(play.published()? >= events)
        })
    }

    /// Waits until something holds; fails when a process has ended by itself, or when it takes too
    /// long.
    pub(crate) fn until(
        &mut self,
        otherwise: &str,
        most: Duration,
        mut holds: impl FnMut(&Self) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let started = Instant::now();
        while !holds(self)? {
            self.fleet.must_live()?;
            if self.watch.is_over() {
                // It says what it saw when everything settles.
                return Ok(());
            }
            if started.elapsed() > most {
                bail!(
                    "{otherwise}, after {} s\n{}\n{}",
                    most.as_secs(),
                    Level::read(&self.view)?,
                    self.fleet.last_words()
                );
            }
            thread::sleep(LOOK_INTERVAL);
        }
        Ok(())
    }

    /// Waits until so many events are settled everywhere.
    pub(crate) fn settle(&mut self, events: u64) -> anyhow::Result<()> {
        let bound = Bound::Within(SETTLE_MAX);
        settle(&self.view, &mut self.fleet, &self.watch, events, bound)
    }

    /// Lets the rest of the history happen, everything settle, and everybody stop, and checks: if
    /// what was done until now went well.
    pub(crate) fn finish(&mut self, ran: anyhow::Result<()>) -> anyhow::Result<Ended> {
        let settled = ran
            .and_then(|()| self.fleet.allow(u64::MAX))
            .and_then(|()| self.settle(self.events));
        let seconds = self.started.elapsed().as_secs_f64();
        // What was seen first explains what came of it.
        let looks = self.watch.finish()?;
        settled?;
        self.fleet.stop()?;
        say(format!("settled after {seconds:.1} s, checking"));

        let held = check::stream(&self.site, &self.view, Extent::Rest);
        let entries = runtime()?.block_on(held)?;
        let compared = check::all(&self.view, &self.model, &self.history)?;
        let level = Level::read(&self.view)?;
        ensure!(
            level.is_settled(self.events),
            "stopping moved something:\n{level}"
        );
        Ok(Ended {
            entries,
            compared,
            looks,
            seconds,
        })
    }
}

/// A runtime for what is asked of servers in between.
pub(crate) fn runtime() -> anyhow::Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

#[expect(clippy::cast_precision_loss, reason = "a rough pace")]
fn pace(events: u64) -> f64 {
    (events as f64 / HISTORY_SECONDS).max(PACE_MIN)
}
