//! The barest loop that adds as many entries: pipelines of plain additions, on one connection.

use std::path::Path;
use std::time::Instant;

use anyhow::Context;

use crate::cli::Bench;
use crate::commands::bench::part::Measured;
use crate::commands::bench::place::Place;
use crate::commands::bench::rows;
use crate::commands::bench::server::command::connect;
use crate::commands::bench::server::feed::batches;

pub(super) async fn measure(args: &Bench, dir: &Path) -> anyhow::Result<Measured> {
    let place = Place::of(args, dir, rows::LOG)?;
    let server = connect(args.transport().context("a server is measured")?).await?;
    let shards = batches(args, &place)?;
    let started = Instant::now();
    // In turns, as a relay comes to them.
    let turns = shards
        .iter()
        .map(|(_, batches)| batches.len())
        .max()
        .unwrap_or(0);
    for turn in 0..turns {
        for (shard, batches) in &shards {
            if let Some(batch) = batches.get(turn) {
                server.add_bare(shard, batch).await?;
            }
        }
    }
    let per_second = f64::from(args.events) / started.elapsed().as_secs_f64();
    Ok(Measured {
        per_second,
        ..Measured::default()
    })
}
