//! One part of the measurement in a process of its own.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use crate::cli::Bench;
#[cfg(all(feature = "mysql", feature = "postgres"))]
use crate::commands::bench::database::DatabasePart;
#[cfg(feature = "redis")]
use crate::commands::bench::server::ServerPart;
use crate::commands::bench::{drain, floor, latency, log};
use crate::exit_code::Code;
use crate::output;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Fill,
    Floor,
    Drain,
    Latency,
    #[cfg(feature = "redis")]
    Server(ServerPart),
    #[cfg(all(feature = "mysql", feature = "postgres"))]
    Database(DatabasePart),
}

impl Part {
    fn all() -> Vec<(Self, &'static str)> {
        vec![
            (Self::Fill, "fill"),
            (Self::Floor, "floor"),
            (Self::Drain, "drain"),
            (Self::Latency, "latency"),
            #[cfg(feature = "redis")]
            (Self::Server(ServerPart::Outbox), "outbox"),
            #[cfg(feature = "redis")]
            (Self::Server(ServerPart::Bare), "bare"),
            #[cfg(feature = "redis")]
            (Self::Server(ServerPart::Relay), "relay"),
            #[cfg(feature = "redis")]
            (Self::Server(ServerPart::Append), "append"),
            #[cfg(feature = "redis")]
            (Self::Server(ServerPart::IdleRelay), "idle-relay"),
            #[cfg(feature = "redis")]
            (Self::Server(ServerPart::IdleConsumer), "idle-consumer"),
            #[cfg(all(feature = "mysql", feature = "postgres"))]
            (Self::Database(DatabasePart::Floor), "database-floor"),
            #[cfg(all(feature = "mysql", feature = "postgres"))]
            (Self::Database(DatabasePart::Drain), "database-drain"),
        ]
    }

    fn name(self) -> &'static str {
        let all = Self::all();
        let named = all.into_iter().find(|(part, _)| *part == self);
        named.map_or("", |(_, name)| name)
    }
}

/// What a part found.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Measured {
    /// Events a second.
    pub(super) per_second: f64,
    /// From publish to commit, in milliseconds.
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    /// The most memory that the process ever held.
    pub(super) peak_bytes: u64,
    /// The memory that it holds while nothing happens.
    pub(super) idle_bytes: u64,
    /// Of one core, while nothing happens.
    pub(super) idle_percent: f64,
}

/// Starts this program again for the part, and reads what it found.
pub(super) async fn run(part: Part, args: &Bench, dir: &Path) -> anyhow::Result<Measured> {
    let program = std::env::current_exe().context("cannot find this program's file")?;
    let mut command = tokio::process::Command::new(program);
    command.arg("bench");
    if let (Some(transport), Some(run)) = (args.transport(), &args.run) {
        command.args(["--transport", transport, "--run", run]);
    }
    #[cfg(all(feature = "mysql", feature = "postgres"))]
    if let Some(database) = args.database() {
        // Not as an argument, which everybody on the machine can read.
        command.env(crate::cli::BENCH_DATABASE, database);
    }
    let child = command
        .args(["--part", part.name(), "--dir"])
        .arg(dir)
        .args([
            "--events",
            &args.events.to_string(),
            "--payload",
            &args.payload.to_string(),
        ])
        .args([
            "--rate",
            &args.rate.to_string(),
            "--seconds",
            &args.seconds.to_string(),
        ])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start the part {}", part.name()))?
        .wait_with_output()
        .await
        .with_context(|| format!("cannot start the part {}", part.name()))?;
    if !child.status.success() {
        bail!("the part {} failed ({})", part.name(), child.status);
    }
    serde_json::from_slice(&child.stdout)
        .with_context(|| format!("the part {} printed no measurement", part.name()))
}

/// Does the part in this process and prints what it found.
pub(super) async fn run_here(name: &str, args: &Bench) -> anyhow::Result<Code> {
    let dir = args.dir.as_deref().context("a part needs --dir")?;
    let Some((part, _)) = Part::all().into_iter().find(|(_, known)| *known == name) else {
        bail!("there is no part {name:?}");
    };
    let mut measured = match part {
        Part::Fill => log::fill(args, dir).await?,
        Part::Floor => floor::measure(args, dir)?,
        Part::Drain => drain::measure(args, dir).await?,
        Part::Latency => latency::measure(args, dir).await?,
        #[cfg(feature = "redis")]
        Part::Server(part) => part.measure(args, dir).await?,
        #[cfg(all(feature = "mysql", feature = "postgres"))]
        Part::Database(part) => part.measure(args, dir).await?,
    };
    measured.peak_bytes = peak_bytes()?;
    output::json(&measured)?;
    Ok(Code::Done)
}

/// The high-water mark of this process's resident memory, as Linux counts it.
fn peak_bytes() -> anyhow::Result<u64> {
    status_bytes("VmHWM:")
}

/// A size of this process, as Linux counts it; 0 elsewhere.
pub(super) fn status_bytes(name: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    Ok(kilobytes.map_or(Ok(0), str::parse)? * 1024)
}
