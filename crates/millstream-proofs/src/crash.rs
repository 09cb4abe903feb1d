//! Whatever is killed, and whatever comes twice, the tables converge.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Args;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::check::{self, Extent};
use crate::fleet::Fleet;
use crate::history::History;
use crate::model::Model;
use crate::run::Run;
use crate::settle::{Bound, settle};
use crate::site::{EMBEDDED, Folder, Level, Log, Site, View};
use crate::terminal::say;
use crate::watch::Watch;

/// Milliseconds between two kills, at least and at most.
const GAP: (u64, u64) = (20, 400);

/// How long the history would take if nobody were killed, compared with the time of all the kills:
/// there must be work until the last of them.
const WORK_PER_KILLS: f64 = 1.3;

/// How many of the kills must hit a process that has done something since it was started.
const AT_WORK_PERCENT_MIN: u64 = 50;

/// How many of the entries must have come twice.
const REPEATED_PERCENT_MIN: u64 = 5;

/// Kills of which a percentage says something.
const KILLS_TELLING_MIN: u64 = 10;

#[derive(Debug, Args)]
pub(crate) struct Crash {
    /// How many processes are killed
    #[arg(long, default_value_t = 20)]
    kills: u64,
    #[command(flatten)]
    run: Run,
}

/// Kills, lets everything settle, and checks. Returns the line that says so.
pub(crate) fn crash(args: Crash) -> anyhow::Result<String> {
    run("crash", args.run, args.kills)
}

/// The same without kills.
pub(crate) fn history(args: Run) -> anyhow::Result<String> {
    run("history", args, 0)
}

fn run(name: &str, args: Run, kills: u64) -> anyhow::Result<String> {
    args.prove(name, |folder, history, seed| {
        let proof = Proof {
            name,
            history,
            kills,
            seed,
        };
        proof.run(folder)
    })
}

struct Proof<'a> {
    name: &'a str,
    history: History,
    kills: u64,
    seed: u64,
}

impl Proof<'_> {
    fn run(&self, folder: &Folder) -> anyhow::Result<String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let model = Model::of(&self.history)?;
        let site = Site::prepare(folder.path(), EMBEDDED)?;
        runtime.block_on(site.migrate())?;
        // Makes the log, so that there is something to look at from the beginning.
        runtime.block_on(site.connect())?;
        let view = View::open(&site, Log::embedded(&site)?)?;

        let started = Instant::now();
        let mut watch = Watch::start(View::open(&site, Log::embedded(&site)?)?);
        let mut fleet = Fleet::start(&site, &self.history, self.pace(model.count), None)?;
        let ran = self
            .kill(&mut fleet, &watch, &view)
            .and_then(|()| settle(&view, &mut fleet, &watch, model.count, Bound::Still));
        let elapsed = started.elapsed();
        // What was seen first explains what came of it.
        let looks = watch.finish()?;
        ran?;
        fleet.stop()?;
        say(format!(
            "settled after {:.1} s, checking",
            elapsed.as_secs_f64()
        ));

        let held = runtime.block_on(check::stream(&site, &view, Extent::Whole))?;
        ensure!(
            held == model.count,
            "the log holds {held} of {} events",
            model.count
        );
        let compared = check::all(&view, &model, &self.history)?;
        let level = Level::read(&view)?;
        ensure!(
            level.is_settled(model.count),
            "stopping moved something:\n{level}"
        );
        self.check_faults(&fleet, &view)?;

        let (kills, at_work) = fleet.kills();
        let hit = if kills == 0 {
            String::new()
        } else {
            format!(" ({})", fleet.victims())
        };
        Ok(format!(
            "{}: ok: {kills} kills{hit}, {at_work} of them at work; {} events, {} entries again; \
             equal to {compared}; {looks} looks; {:.1} s; seed {}",
            self.name,
            model.count,
            fleet.repeated(),
            elapsed.as_secs_f64(),
            self.seed
        ))
    }

    /// Events in a second, such that work lasts through all kills.
    #[expect(clippy::cast_precision_loss, reason = "a rough pace")]
    fn pace(&self, events: u64) -> Option<f64> {
        let seconds = self.kills as f64 * (GAP.0 + GAP.1) as f64 / 2_000.0;
        (self.kills > 0).then(|| events as f64 / (seconds * WORK_PER_KILLS))
    }

    fn kill(&self, fleet: &mut Fleet, watch: &Watch, view: &View) -> anyhow::Result<()> {
        let mut random = StdRng::seed_from_u64(self.seed);
        for kill in 1..=self.kills {
            thread::sleep(Duration::from_millis(random.random_range(GAP.0..=GAP.1)));
            fleet.must_live()?;
            if watch.is_over() {
                return Ok(());
            }
            let victim = fleet
                .kill(&mut random)
                .with_context(|| format!("kill {kill}"))?;
            fleet.restart(victim)?;
            if kill % 10 == 0 {
                let published = Level::read(view)?.published;
                say(format!(
                    "{kill} of {} kills, {published} events published",
                    self.kills
                ));
            }
        }
        Ok(())
    }

    /// Whether the faults were there at all: a proof without them proves nothing.
    fn check_faults(&self, fleet: &Fleet, view: &View) -> anyhow::Result<()> {
        let (kills, at_work) = fleet.kills();
        ensure!(
            kills < KILLS_TELLING_MIN || at_work * 100 >= kills * AT_WORK_PERCENT_MIN,
            "only {at_work} of {kills} kills hit a process at work"
        );
        let delivered = Level::read(view)?.published * view.followers().len() as u64;
        ensure!(
            fleet.repeated() * 100 >= delivered * REPEATED_PERCENT_MIN,
            "only {} of {delivered} entries came twice",
            fleet.repeated()
        );
        Ok(())
    }
}
