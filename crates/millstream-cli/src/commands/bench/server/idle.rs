//! What a relay and a consumer cost while nothing happens. Both run at the same time, each in a process
//! of its own, and follow each other.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use tokio::time::Instant;

use millstream::engine::status::Handle;
use millstream::rusqlite::Connection;
use millstream::{App, CancellationToken};

use crate::cli::Bench;
use crate::commands::bench::command::fresh;
use crate::commands::bench::part::{Measured, status_bytes};
use crate::commands::bench::place::Place;
use crate::commands::bench::rows;

/// Shards that are followed.
pub(super) const SHARDS: u16 = 32;

/// How long it takes at most until both have found each other.
const READY_MAX: Duration = Duration::from_secs(60);

/// Until nothing of the beginning is left to do.
const SETTLE: Duration = Duration::from_secs(2);

/// How long idling is watched: several rounds of whatever is done every few seconds.
const WATCH: Duration = Duration::from_secs(15);

/// The relay goes on for as long as the consumer looks.
const RELAY_BEYOND: Duration = Duration::from_secs(5);

pub(super) async fn relay(args: &Bench, dir: &Path) -> anyhow::Result<Measured> {
    let place = Place::of(args, dir, rows::LOG)?;
    let database = format!("sqlite:{}", fresh(dir, "idle-crm.db")?.display());
    let app = App::new(place.source.as_str(), &database)?
        .publish_to_shards(place.stream.as_str(), SHARDS)?;
    app.migrate().await?;
    let transport = place.connect().await?;
    let relay = app.relay(&transport);
    let (handle, stop) = (relay.handle(), CancellationToken::new());
    let running = tokio::spawn(relay.run(stop.clone()));
    let measured = watch(&handle, usize::from(SHARDS)).await?;
    tokio::time::sleep(RELAY_BEYOND).await;
    stop.cancel();
    running.await??;
    Ok(measured)
}

pub(super) async fn consumer(args: &Bench, dir: &Path) -> anyhow::Result<Measured> {
    let place = Place::of(args, dir, rows::LOG)?;
    let path = fresh(dir, "idle-hr.db")?;
    Connection::open(&path)?.execute_batch(rows::TABLE)?;
    let app = App::new("hr", &format!("sqlite:{}", path.display()))?
        .subscribe(place.stream.as_str())?
        .map(rows::mapping());
    app.migrate().await?;
    let transport = place.connect().await?;
    let consumer = app.consumer(&transport)?;
    let (handle, stop) = (consumer.handle(), CancellationToken::new());
    let running = tokio::spawn(consumer.run(stop.clone()));
    // The shared stream of this name is a feed too.
    let measured = watch(&handle, usize::from(SHARDS) + 1).await?;
    stop.cancel();
    running.await??;
    Ok(measured)
}

async fn watch(handle: &Handle, feeds: usize) -> anyhow::Result<Measured> {
    let ready = handle.wait_until(|status| status.feeds.len() >= feeds);
    tokio::time::timeout(READY_MAX, ready)
        .await
        .context("relay and consumer have not found each other")?;
    tokio::time::sleep(SETTLE).await;
    let (before, started) = (processor_time()?, Instant::now());
    tokio::time::sleep(WATCH).await;
    let used = processor_time()?.saturating_sub(before);
    Ok(Measured {
        idle_percent: used.as_secs_f64() / started.elapsed().as_secs_f64() * 100.0,
        idle_bytes: status_bytes("VmRSS:")?,
        ..Measured::default()
    })
}

/// The time that processors have spent on all threads of this process, as Linux counts it.
fn processor_time() -> anyhow::Result<Duration> {
    let mut total = Duration::ZERO;
    for thread in std::fs::read_dir("/proc/self/task")? {
        // A thread may end meanwhile.
        let Ok(stat) = std::fs::read_to_string(thread?.path().join("schedstat")) else {
            continue;
        };
        let nanoseconds = stat
            .split_whitespace()
            .next()
            .context("schedstat is empty")?;
        total += Duration::from_nanos(nanoseconds.parse()?);
    }
    Ok(total)
}
