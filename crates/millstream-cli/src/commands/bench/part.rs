//! One part of the measurement in a process of its own.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use crate::cli::Bench;
use crate::commands::bench::{drain, floor, latency, log};
use crate::exit_code::Code;
use crate::output;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Fill,
    Floor,
    Drain,
    Latency,
}

impl Part {
    const ALL: [(Self, &str); 4] = [
        (Self::Fill, "fill"),
        (Self::Floor, "floor"),
        (Self::Drain, "drain"),
        (Self::Latency, "latency"),
    ];

    fn name(self) -> &'static str {
        let (_, name) = Self::ALL[self as usize];
        name
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
}

/// Starts this program again for the part, and reads what it found.
pub(super) async fn run(part: Part, args: &Bench, dir: &Path) -> anyhow::Result<Measured> {
    let program = std::env::current_exe().context("cannot find this program's file")?;
    let child = tokio::process::Command::new(program)
        .args(["bench", "--part", part.name(), "--dir"])
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
    let Some((part, _)) = Part::ALL.into_iter().find(|(_, known)| *known == name) else {
        bail!("there is no part {name:?}");
    };
    let mut measured = match part {
        Part::Fill => log::fill(args, dir).await?,
        Part::Floor => floor::measure(args, dir)?,
        Part::Drain => drain::measure(args, dir).await?,
        Part::Latency => latency::measure(args, dir).await?,
    };
    measured.peak_bytes = peak_bytes()?;
    output::json(&measured)?;
    Ok(Code::Done)
}

/// The high-water mark of this process's resident memory, as Linux counts it.
fn peak_bytes() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    Ok(kilobytes.map_or(Ok(0), str::parse)? * 1024)
}
