use std::thread;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::Args;
use millstream_core::entry::EntryId;
use millstream_testkit::proxy::{Mode, Way};
use millstream_testkit::redis::Value;
use millstream_testkit::server::{Sentinel, Server};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::runtime::Runtime;

use crate::faults::Kind;
use crate::play::{Play, runtime};
use crate::run::Run;
use crate::site::shards;
use crate::terminal::say;

/// What passes from a master to its replica in a second: less than is published.
const BYTES_PER_SECOND: u64 = 20_000;

/// So many entries more must be at stake, or all that happen.
const LACKS_ENOUGH: u64 = 200;

/// How long it may take until the replica is behind.
const BEHIND_MAX: Duration = Duration::from_secs(30);

/// How long a replica takes in what has arrived before its master died.
const ARRIVED: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
pub(crate) struct Failover {
    /// How often the master is killed
    #[arg(long, default_value_t = 3)]
    times: u64,
    /// Which servers they are
    #[arg(long, value_enum, default_value_t = Kind::Redis)]
    flavour: Kind,
    #[command(flatten)]
    run: Run,
}

/// Kills masters whose replica lacks what they have acknowledged, and checks. Returns the line that
/// says so.
pub(crate) fn failover(args: Failover) -> anyhow::Result<String> {
    let Failover {
        times,
        flavour,
        run,
    } = args;
    run.prove("failover", |folder, history, seed| {
        let runtime = runtime()?;
        let sentinel = runtime.block_on(Sentinel::start(flavour.into(), 1))?;
        let mut play = Play::begin(folder, history, &sentinel.url(), &sentinel.url())?;
        let mut random = StdRng::seed_from_u64(seed);
        let mut lost = 0;
        let mut ran = Ok(());
        for round in 0..times {
            let events = play.events;
            let (from, to) = (events * round / times, events * (round + 1) / times);
            let at = random.random_range(from..=from + (to - from) / 4);
            ran = play.fleet.allow(to).and_then(|()| {
                play.published_to(at)?;
                let gone = fail_over(&mut play, &runtime, &sentinel, to)?;
                say(format!("fail-over {} of {times}: {gone} entries lost", round + 1));
                lost += gone;
                Ok(())
            });
            ran = ran.with_context(|| format!("fail-over {}", round + 1));
            if ran.is_err() {
                break;
            }
        }
        let ended = play.finish(ran)?;
        ensure!(
            times == 0 || lost > 0,
            "no fail-over lost anything: nothing was at stake"
        );
        Ok(format!(
            "failover: ok: {times} fail-overs, {lost} acknowledged entries lost, {} repairs, none lost \
             in the end; {} events, {} entries again; equal to {}; {:.1} s; seed {seed}",
            play.fleet.repairs(),
            play.events,
            play.fleet.repeated(),
            ended.compared,
            ended.seconds
        ))
    })
}

/// Returns how many entries the master had, and the one that is promoted has not.
fn fail_over(
    play: &mut Play,
    runtime: &Runtime,
    sentinel: &Sentinel,
    until: u64,
) -> anyhow::Result<u64> {
    let master = runtime.block_on(sentinel.master())?;
    let others = sentinel.nodes().iter();
    let replica = others
        .into_iter()
        .find(|node| node.address() != master.address())
        .context("a replica")?;
    let link = runtime.block_on(sentinel.link())?;
    link.set(Mode::Throttle(Way::Down, BYTES_PER_SECOND));
    play.until("the replica keeps up", BEHIND_MAX, |play| {
        let lacks = lacks(runtime, master, replica)?;
        Ok(lacks >= LACKS_ENOUGH || (lacks > 0 && play.published()? == until))
    })?;

    let had = tops(runtime, master)?;
    let old = runtime.block_on(sentinel.kill_master())?;
    thread::sleep(ARRIVED);
    let lost = missing(&had, &tops(runtime, replica)?);
    runtime.block_on(sentinel.failed_over(old))?;
    link.set(Mode::Pass);
    runtime.block_on(sentinel.rejoin(old))?;
    runtime.block_on(sentinel.reroute())?;
    Ok(lost)
}

fn lacks(runtime: &Runtime, master: &Server, replica: &Server) -> anyhow::Result<u64> {
    let has = tops(runtime, replica)?;
    Ok(missing(&tops(runtime, master)?, &has))
}

fn missing(of: &[EntryId], there: &[EntryId]) -> u64 {
    let both = of.iter().zip(there);
    both.map(|(of, there)| of.low.saturating_sub(there.low))
        .sum()
}

/// The last entry of each shard that a server has.
fn tops(runtime: &Runtime, server: &Server) -> anyhow::Result<Vec<EntryId>> {
    let mut tops = Vec::new();
    for shard in shards()? {
        let ask = ["XREVRANGE", &shard.to_string(), "+", "-", "COUNT", "1"];
        let last: Vec<(String, Value)> = runtime.block_on(server.query(&ask))?;
        let last = last.first().and_then(|(id, _)| id.parse().ok());
        tops.push(last.unwrap_or_default());
    }
    Ok(tops)
}
