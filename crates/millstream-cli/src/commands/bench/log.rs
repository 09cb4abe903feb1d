//! A full log, as a relay would have left it.

use std::path::Path;
use std::time::Instant;

use anyhow::bail;

use millstream::core::entry::{Entry, EntryId, Shard};
use millstream::core::log::Appended;
use millstream::core::wire;

use crate::cli::Bench;
use crate::commands::bench::part::Measured;
use crate::commands::bench::place::Place;
use crate::commands::bench::rows;

/// Entries of one append.
const BATCH: usize = 1_000;

pub(super) async fn fill(args: &Bench, dir: &Path) -> anyhow::Result<Measured> {
    let place = Place::of(args, dir, rows::LOG)?;
    let transport = place.connect().await?;
    let descriptor = place.descriptor()?;
    let shards: Vec<Shard> = descriptor.shards().collect();
    let mut tops: Vec<(EntryId, Option<bytes::Bytes>)> =
        shards.iter().map(|_| (EntryId::ZERO, None)).collect();
    let mut waiting: Vec<Vec<Entry>> = shards.iter().map(|_| Vec::new()).collect();

    let started = Instant::now();
    let events = u64::from(args.events);
    for n in 0..events {
        let mut row = rows::outbox_row(n, events, args.payload as usize);
        let index = usize::from(row.shard);
        let (at, prev) = &mut tops[index];
        *at = EntryId::new(1, at.low + 1);
        row.at = *at;
        row.prev = prev.replace(row.event_id.clone());
        waiting[index].push(wire::encode_owned(&row, &descriptor.owner));
        let last = n + 1 == events;
        for (shard, entries) in shards.iter().zip(&mut waiting) {
            if entries.len() >= BATCH || (last && !entries.is_empty()) {
                let before = EntryId::new(1, entries[0].id.low - 1);
                let after = if before.low == 0 {
                    EntryId::ZERO
                } else {
                    before
                };
                if transport.log.append(shard, after, entries).await? != Appended::Added {
                    bail!("{shard} is not empty");
                }
                entries.clear();
            }
        }
    }
    transport.log.announce(&descriptor).await?;
    let per_second = f64::from(args.events) / started.elapsed().as_secs_f64();
    Ok(Measured {
        per_second,
        ..Measured::default()
    })
}
