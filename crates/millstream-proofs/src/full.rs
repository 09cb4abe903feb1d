//! A server that is full of entries which nobody has settled gets empty by itself.

use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::Args;
use millstream_core::entry::EntryId;
use millstream_testkit::server::Server;
use tokio::runtime::Runtime;

use crate::faults::Kind;
use crate::fleet::FOLLOWERS;
use crate::info::{memory, refused};
use crate::play::{Play, runtime};
use crate::run::Run;
use crate::site::{Level, Served};
use crate::terminal::say;

/// How long nothing may move until the server counts as full.
const STILL: Duration = Duration::from_secs(4);

/// How much of the history may fit, so that the rest needs what consumers make room for.
const FITS_PERCENT_MAX: u64 = 75;

/// How long something may take that comes before.
const WAIT_MAX: Duration = Duration::from_secs(60);

#[derive(Debug, Args)]
pub(crate) struct Full {
    /// Bytes that the server has for entries
    #[arg(long, default_value_t = 1024 * 1024)]
    room: u64,
    /// Which server is full
    #[arg(long, value_enum, default_value_t = Kind::Redis)]
    flavour: Kind,
    #[command(flatten)]
    run: Run,
}

/// Fills a server, lets consumers in, and checks. Returns the line that says so.
pub(crate) fn full(args: Full) -> anyhow::Result<String> {
    let Full { room, flavour, run } = args;
    run.prove("full", |folder, history, seed| {
        let runtime = runtime()?;
        let server = runtime.block_on(Server::start_default(flavour.into()))?;
        let mut play = Play::begin(folder, history, &server.url(), &server.url())?;
        let eyes = Served::connect(&server.url())?;
        let mut fits = 0;
        let ran = fill(&mut play, &eyes, &runtime, &server, room).map(|held| fits = held);
        let ran = ran.and_then(|()| {
            say(format!("full with {fits} entries, consumers come"));
            play.fleet.start_missing()
        });
        let ended = play.finish(ran)?;
        let refused = refused(&runtime, &server)?;
        ensure!(
            ended.entries < play.events,
            "nothing was trimmed, though not everything fits"
        );
        Ok(format!(
            "full: ok: {fits} of {} entries fitted, none of them settled; {refused} writes refused; \
             {} entries left; equal to {}; {:.1} s; seed {seed}",
            play.events, ended.entries, ended.compared, ended.seconds
        ))
    })
}

/// Publishes with no consumer there until nothing more fits. Returns how much did.
fn fill(
    play: &mut Play,
    eyes: &Served,
    runtime: &Runtime,
    server: &Server,
    room: u64,
) -> anyhow::Result<u64> {
    play.fleet.stop_these(&FOLLOWERS)?;
    let most = (memory(runtime, server)? + room).to_string();
    runtime.block_on(server.command(&["CONFIG", "SET", "maxmemory", &most]))?;

    play.fleet.allow(u64::MAX)?;
    let events = play.events;
    play.published_to(events)?;
    let (mut known, mut changed) = (0, Instant::now());
    play.until("it does not get full", WAIT_MAX, |_| {
        let held = eyes.descriptions()?.unwrap_or_default();
        let held = held.iter().map(|about| about.length).sum();
        if held != known {
            (known, changed) = (held, Instant::now());
        }
        Ok(held > 0 && changed.elapsed() > STILL)
    })?;
    ensure!(
        known * 100 <= events * FITS_PERCENT_MAX && refused(runtime, server)? > 0,
        "{known} of {events} entries fit: give it less room"
    );
    let level = Level::read(&play.view)?;
    let mut settled = level
        .followers
        .values()
        .flat_map(|known| known.checkpoints.values());
    ensure!(
        settled.all(|at| *at == EntryId::ZERO),
        "somebody has settled something:\n{level}"
    );
    Ok(known)
}
