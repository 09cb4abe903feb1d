use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, ensure};
use clap::Args;

use crate::memory::fill::fill;
use crate::site::{EMBEDDED, Folder, Site};
use crate::terminal::say;

/// The short backlog.
const EVENTS_FEW: u64 = 10_000;

/// What a consumer may use, with whatever backlog.
const PEAK_KIB_MAX: u64 = 64 * 1024;

/// How much more it may use with the long backlog. A second's work does not fill every cache: some 3
/// MiB more were measured with 100,000 events, and no more than that with a million.
const MORE_KIB_MAX: u64 = 8 * 1024;

#[derive(Debug, Args)]
pub(crate) struct Memory {
    /// How many events the long backlog has
    #[arg(long, default_value_t = 1_000_000)]
    events: u64,
}

/// Drains a short backlog and a long one, and compares. Returns the line that says so.
pub(crate) fn memory(args: Memory) -> anyhow::Result<String> {
    let few = measure(EVENTS_FEW)?;
    let many = measure(args.events)?;
    let found = format!(
        "{} KiB with {EVENTS_FEW} events behind, {} KiB with {} ({:.0} s)",
        few.peak_kib, many.peak_kib, args.events, many.seconds
    );
    ensure!(
        many.peak_kib <= PEAK_KIB_MAX,
        "memory: FAILED, above {PEAK_KIB_MAX} KiB: {found}"
    );
    ensure!(
        many.peak_kib <= few.peak_kib + MORE_KIB_MAX,
        "memory: FAILED, it grows with the backlog: {found}"
    );
    Ok(format!("memory: ok: {found}"))
}

struct Measured {
    peak_kib: u64,
    seconds: f64,
}

fn measure(events: u64) -> anyhow::Result<Measured> {
    let folder = Folder::new(None)?;
    let site = Site::prepare(folder.path(), EMBEDDED)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        site.migrate().await?;
        let transport = site.connect().await?;
        let hr = site.app("hr")?.database().identity().await?;
        fill(transport.log.as_ref(), &hr.database, events).await
    })?;
    say(format!("a log of {events} events is there, draining it"));

    let started = Instant::now();
    let output = Command::new(std::env::current_exe()?)
        .args(["drain", "--events", &events.to_string(), "--dir"])
        .arg(site.dir())
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(
        output.status.success(),
        "the consumer failed, {}",
        output.status
    );
    let peak_kib = String::from_utf8(output.stdout)?
        .trim()
        .parse()
        .context("peak memory")?;
    say(format!("peak memory {peak_kib} KiB"));
    Ok(Measured {
        peak_kib,
        seconds: started.elapsed().as_secs_f64(),
    })
}
