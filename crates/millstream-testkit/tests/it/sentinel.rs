use anyhow::{Context as _, Result, ensure};
use millstream_testkit::proxy::{Mode, Way};
use millstream_testkit::server::{Flavour, Sentinel, Server};

/// So slowly that most of what is written in a second is still on its way.
const BYTES_PER_SECOND: u64 = 20_000;

const ENTRIES: u64 = 5_000;

/// Adds entries to the master and returns how many it has acknowledged.
async fn write(master: &Server) -> Result<u64> {
    let mut connection = master.connect().await?;
    let mut pipeline = redis::pipe();
    for _ in 0..ENTRIES {
        pipeline
            .cmd("XADD")
            .arg("stream")
            .arg("*")
            .arg("field")
            .arg("some hundred bytes ".repeat(5));
    }
    let ids: Vec<String> = pipeline.query_async(&mut connection).await?;
    Ok(ids.len().try_into()?)
}

async fn length(node: &Server) -> Result<u64> {
    Ok(node.query(&["XLEN", "stream"]).await?)
}

/// In as many fail-overs.
async fn acknowledged_writes_get_lost(flavour: Flavour, rounds: u64) -> Result<()> {
    let sentinel = Sentinel::start(flavour, 2).await?;
    for _ in 0..rounds {
        let master = sentinel.master().await?;
        let before = length(master).await?;
        let slow = Mode::Throttle(Way::Down, BYTES_PER_SECOND);
        sentinel.link().await?.set(slow);
        let acknowledged = before + write(master).await?;
        ensure!(length(master).await? == acknowledged);

        let old = sentinel.kill_master().await?;
        ensure!(old.address() == master.address() && !old.is_running());
        let new = sentinel.failed_over(old).await?;
        ensure!(new.address() == sentinel.master().await?.address());
        let kept = length(new).await?;
        ensure!(kept >= before, "{kept} of {before} that were replicated");
        ensure!(kept < acknowledged, "nothing of {acknowledged} is lost");

        sentinel.rejoin(old).await?;
        ensure!(
            length(old).await? == kept,
            "the old one has thrown away what was lost"
        );
        sentinel.reroute().await?;
    }
    Ok(())
}

mod crash {
    use super::*;

    #[tokio::test]
    async fn acknowledged_writes_get_lost_on_redis() -> Result<()> {
        acknowledged_writes_get_lost(Flavour::Redis, 2).await
    }

    #[tokio::test]
    async fn acknowledged_writes_get_lost_on_valkey() -> Result<()> {
        acknowledged_writes_get_lost(Flavour::Valkey, 1).await
    }
}

#[tokio::test]
async fn replication_stands_still_behind_a_black_hole() -> Result<()> {
    let sentinel = Sentinel::start(Flavour::Redis, 1).await?;
    let master = sentinel.master().await?;
    sentinel.link().await?.set(Mode::BlackHole(Way::Down));
    let acknowledged = write(master).await?;
    ensure!(length(&sentinel.nodes()[1]).await? == 0);
    sentinel.link().await?.set(Mode::Pass);
    let waited: u64 = master.query(&["WAIT", "1", "20000"]).await?;
    ensure!(waited == 1);
    ensure!(length(&sentinel.nodes()[1]).await? == acknowledged);
    Ok(())
}

#[tokio::test]
async fn its_url_leads_to_the_master() -> Result<()> {
    let sentinel = Sentinel::start(Flavour::Redis, 1).await?;
    let url = sentinel.url();
    let rest = url
        .strip_prefix("redis+sentinel://")
        .context("its scheme")?;
    let (hosts, name) = rest.split_once('/').context("a name")?;
    // One of them is enough.
    sentinel.sentinels()[0].kill()?;
    sentinel.sentinels()[1].stop().await?;
    let hosts = hosts
        .split(',')
        .skip(2)
        .map(|host| format!("redis://{host}"));
    let mut client = redis::sentinel::Sentinel::build(hosts.collect::<Vec<_>>())?;
    let master = client.async_master_for(name, None).await?;
    let mut connection = master.get_multiplexed_async_connection().await?;
    let () = redis::cmd("SET")
        .arg("key")
        .arg(1)
        .query_async(&mut connection)
        .await?;
    ensure!(
        sentinel
            .master()
            .await?
            .query::<u64>(&["GET", "key"])
            .await?
            == 1
    );
    Ok(())
}
