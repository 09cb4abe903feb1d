//! The appends of a relay, from memory: what is left of it without a database.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::bail;
use tokio::task::JoinSet;

use millstream::core::entry::{Entry, EntryId, Shard};
use millstream::core::log::{Appended, Log};
use millstream::core::wire;
use millstream::engine::relay;

use crate::cli::Bench;
use crate::commands::bench::part::Measured;
use crate::commands::bench::place::Place;
use crate::commands::bench::rows;

/// Appends to all shards at the same time, in batches as a relay's.
pub(super) async fn measure(args: &Bench, dir: &Path) -> anyhow::Result<Measured> {
    let place = Place::of(args, dir, rows::LOG)?;
    let transport = place.connect().await?;
    let batches = batches(args, &place)?;
    let started = Instant::now();
    let mut shards = JoinSet::new();
    for (shard, batches) in batches {
        shards.spawn(append(transport.log.clone(), shard, batches));
    }
    while let Some(appended) = shards.join_next().await {
        appended??;
    }
    let per_second = f64::from(args.events) / started.elapsed().as_secs_f64();
    // For whoever drains it.
    transport.log.announce(&place.descriptor()?).await?;
    Ok(Measured {
        per_second,
        ..Measured::default()
    })
}

async fn append(log: Arc<dyn Log>, shard: Shard, batches: Vec<Vec<Entry>>) -> anyhow::Result<()> {
    let mut last = EntryId::ZERO;
    for batch in batches {
        if log.append(&shard, last, &batch).await? != Appended::Added {
            bail!("somebody else writes to {shard}");
        }
        last = batch.last().map_or(last, |entry| entry.id);
    }
    Ok(())
}

/// What a relay that numbers a transaction's rows at a time would append to each shard.
pub(super) fn batches(
    args: &Bench,
    place: &Place,
) -> anyhow::Result<Vec<(Shard, Vec<Vec<Entry>>)>> {
    let batch_max = relay::Options::new(place.source.clone()).batch_max as u64;
    let descriptor = place.descriptor()?;
    let mut shards: Vec<(Shard, Vec<Vec<Entry>>)> = descriptor
        .shards()
        .map(|shard| (shard, Vec::new()))
        .collect();
    let mut tops = vec![(0_u64, None); shards.len()];
    let events = u64::from(args.events);
    for n in 0..events {
        if n % batch_max == 0 {
            for (_, batches) in &mut shards {
                batches.push(Vec::new());
            }
        }
        let mut row = rows::outbox_row(n, events, args.payload as usize);
        let index = usize::from(row.shard);
        let (seq, prev) = &mut tops[index];
        *seq += 1;
        row.at = EntryId::new(1, *seq);
        row.prev = prev.replace(row.event_id.clone());
        let entry = wire::encode_owned(&row, &place.source);
        if let Some(batch) = shards[index].1.last_mut() {
            batch.push(entry);
        }
    }
    for (_, batches) in &mut shards {
        batches.retain(|batch| !batch.is_empty());
    }
    Ok(shards)
}
