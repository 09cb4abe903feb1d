use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use millstream::CancellationToken;

use crate::site::Site;

/// How long not a single event may be settled.
const STUCK_MAX: Duration = Duration::from_secs(60);

const INTERVAL: Duration = Duration::from_millis(20);

#[derive(Debug, Args)]
pub(crate) struct Drain {
    /// The folder with the log
    #[arg(long)]
    dir: PathBuf,
    /// How many events it holds
    #[arg(long)]
    events: u64,
}

/// Applies a whole log to HR's tables, and returns the highest memory that this process ever used,
/// in KiB.
pub(crate) fn drain(args: Drain) -> anyhow::Result<String> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(settle(&args))?;
    Ok(peak()?.to_string())
}

async fn settle(args: &Drain) -> anyhow::Result<()> {
    let site = Site::at(&args.dir);
    let transport = site.connect().await?;
    let consumer = site.app("hr")?.consumer(&transport)?;
    let handle = consumer.handle();
    let stop = CancellationToken::new();
    let mut running = tokio::spawn(consumer.run(stop.clone()));

    let (mut known, mut changed) = (0, Instant::now());
    while known < args.events {
        tokio::select! {
            ended = &mut running => bail!("the consumer ended: {ended:?}"),
            () = tokio::time::sleep(INTERVAL) => {}
        }
        let settled = handle.status().counts.total();
        if settled != known {
            (known, changed) = (settled, Instant::now());
        } else if changed.elapsed() > STUCK_MAX {
            bail!(
                "stuck at {known} of {} events: {:?}",
                args.events,
                handle.status()
            );
        }
    }
    stop.cancel();
    Ok(running.await??)
}

/// The highest resident memory of this process, in KiB.
fn peak() -> anyhow::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")
        .context("memory is measured by /proc, as Linux has it")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let value = line.and_then(|line| line.trim().strip_suffix(" kB"));
    value
        .context("no VmHWM in /proc/self/status")?
        .trim()
        .parse()
        .context("VmHWM")
}
