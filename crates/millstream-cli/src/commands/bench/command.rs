use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::cli::{Bench, Global};
#[cfg(all(feature = "mysql", feature = "postgres"))]
use crate::commands::bench::database;
use crate::commands::bench::part::{self, Measured, Part};
#[cfg(feature = "redis")]
use crate::commands::bench::server;
use crate::commands::bench::{report, rows};
use crate::exit_code::Code;
use crate::output::Progress;

/// How often each side is measured.
pub(super) const ROUNDS: u32 = 3;

pub(in crate::commands) async fn run(global: &Global, args: &Bench) -> anyhow::Result<Code> {
    if let Some(part) = &args.part {
        return part::run_here(part, args).await;
    }
    #[cfg(all(feature = "mysql", feature = "postgres"))]
    if args.database().is_some() {
        return database::run(global, args).await;
    }
    #[cfg(feature = "redis")]
    if let Some(url) = &args.transport {
        return server::run(global, args, url).await;
    }
    let temporary;
    let dir: &Path = match &args.dir {
        Some(dir) => {
            std::fs::create_dir_all(dir)
                .with_context(|| format!("cannot make {}", dir.display()))?;
            if dir.join(rows::LOG).exists() {
                bail!(
                    "{} holds a measurement already: choose another folder",
                    dir.display()
                );
            }
            dir
        }
        None => {
            temporary = tempfile::tempdir()?;
            temporary.path()
        }
    };

    let progress = Progress::new(global);
    let bar = progress.bar("measured", Some(u64::from(2 * ROUNDS + 2)));
    part::run(Part::Fill, args, dir).await?;
    bar.inc(1);
    let (mut floors, mut drains) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        floors.push(part::run(Part::Floor, args, dir).await?);
        bar.inc(1);
        drains.push(part::run(Part::Drain, args, dir).await?);
        bar.inc(1);
    }
    let latency = part::run(Part::Latency, args, dir).await?;
    bar.finish_and_clear();
    report::print(global, args, &median(floors), &median(drains), &latency)?;
    Ok(Code::Done)
}

/// The measurement with the middle rate, with the highest peak of all.
pub(super) fn median(mut measured: Vec<Measured>) -> Measured {
    let peak = measured.iter().map(|one| one.peak_bytes).max().unwrap_or(0);
    measured.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
    let middle = measured.swap_remove(measured.len() / 2);
    Measured {
        peak_bytes: peak,
        ..middle
    }
}

/// A database for one round: nothing is left of the one before.
pub(super) fn fresh(dir: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let path = dir.join(name);
    for suffix in ["", "-wal", "-shm"] {
        let mut file = path.clone().into_os_string();
        file.push(suffix);
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    Ok(path)
}
