use anyhow::Context as _;
use clap::Args;
use millstream_testkit::server::Cluster;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::runtime::Runtime;

use crate::faults::Kind;
use crate::play::{Play, runtime};
use crate::run::Run;
use crate::site::shards;
use crate::terminal::say;

#[derive(Debug, Args)]
pub(crate) struct Slots {
    /// How often a master is killed, and how often a slot is moved
    #[arg(long, default_value_t = 2)]
    times: u64,
    /// Which servers they are
    #[arg(long, value_enum, default_value_t = Kind::Redis)]
    flavour: Kind,
    #[command(flatten)]
    run: Run,
}

/// Kills masters of a Cluster and moves slots while events pass, and checks. Returns the line that
/// says so.
pub(crate) fn cluster(args: Slots) -> anyhow::Result<String> {
    let Slots {
        times,
        flavour,
        run,
    } = args;
    run.prove("cluster", |folder, history, seed| {
        let runtime = runtime()?;
        let cluster = runtime.block_on(Cluster::start(flavour.into()))?;
        let mut play = Play::begin(folder, history, &cluster.url(), &cluster.url())?;
        let mut random = StdRng::seed_from_u64(seed);
        let ran = rounds(&mut play, &runtime, &cluster, &mut random, times);
        let ended = play.finish(ran)?;
        Ok(format!(
            "cluster: ok: {times} masters killed, {times} slots moved, {} repairs, none lost; {} \
             events, {} entries again; equal to {}; {:.1} s; seed {seed}",
            play.fleet.repairs(),
            play.events,
            play.fleet.repeated(),
            ended.compared,
            ended.seconds
        ))
    })
}

fn rounds(
    play: &mut Play,
    runtime: &Runtime,
    cluster: &Cluster,
    random: &mut StdRng,
    times: u64,
) -> anyhow::Result<()> {
    let shards = shards()?;
    let (events, rounds) = (play.events, times * 2);
    for round in 0..rounds {
        let (from, to) = (events * round / rounds, events * (round + 1) / rounds);
        play.fleet.allow(to)?;
        play.published_to(random.random_range(from..=from + (to - from) / 2))?;
        let key = shards[random.random_range(0..shards.len())].to_string();
        let what = if round % 2 == 0 {
            runtime.block_on(kill_master(cluster, &key))?;
            "master killed"
        } else {
            runtime
                .block_on(move_slot(cluster, &key))
                .context("a slot is moved")?;
            "slot moved"
        };
        say(format!("round {} of {rounds}: {what}", round + 1));
    }
    Ok(())
}

async fn kill_master(cluster: &Cluster, key: &str) -> anyhow::Result<()> {
    let old = cluster.kill_master_of(key).await?;
    cluster.failed_over(old, key).await?;
    cluster.rejoin(old).await
}

async fn move_slot(cluster: &Cluster, key: &str) -> anyhow::Result<()> {
    let others = cluster.masters_without(key).await?;
    let to = others.first().context("another master")?;
    cluster.moved_slot(key, to).await
}
