//! Beginning a stream anew, after what was sent and what is here have come apart.

use rusqlite::OptionalExtension;

use millstream_core::entry::EntryId;
use millstream_core::error::{Error, ErrorKind};
use millstream_core::lease::{Checkpoint, Lease};

use crate::sqlite::database::{Options, while_doing};
use crate::sqlite::leases::{compare_and_set, immediate, number};
use crate::sqlite::prune::place;
use crate::tops::{owned, stream_of};

/// Begins the generation after `above` and the highest that any shard has.
///
/// Where nothing was numbered yet, that is the second one: a restored database may know nothing of
/// the first.
pub(super) fn begin(
    db: &mut rusqlite::Connection,
    options: &Options,
    tops: &[Lease],
    settled: &[EntryId],
    above: u64,
) -> Result<Vec<Checkpoint>, Error> {
    let failed = while_doing("begin a new generation");
    let prefix = &options.prefix;
    let stream = stream_of(tops)?;
    if settled.len() != tops.len() {
        return Err(Error::new(
            ErrorKind::Misconfigured,
            format!("{stream}: not every shard says what of it is settled"),
        ));
    }
    let highest = tops.iter().map(|top| top.checkpoint.at.high).max();
    let begin = Checkpoint {
        at: EntryId::new(highest.unwrap_or(0).max(above).max(1) + 1, 0),
        event_id: None,
    };

    let tx = immediate(db, &failed)?;
    // Before its rows: a trigger keeps the numbers of a shard's generation.
    for top in tops {
        compare_and_set(&tx, prefix, top, &top.checkpoint, &begin)?;
    }
    {
        let mut lower = tx
            .prepare_cached(&prefix.sql(
                "UPDATE ~outbox SET shard = NULL, generation = NULL, seq = NULL, numbered_at = NULL
                 WHERE stream = ?1 AND shard = ?2 AND seq IS NOT NULL
                   AND (generation, seq) > (?3, ?4)",
            ))
            .map_err(&failed)?;
        for (top, settled) in tops.iter().zip(settled) {
            lower
                .execute(place(owned(top)?, *settled))
                .map_err(&failed)?;
        }
        tx.prepare_cached(&prefix.sql(
            "UPDATE ~millstream_subscribers
             SET settled_generation = ?2, settled_seq = 0, settled_event_id = NULL
             WHERE stream = ?1",
        ))
        .and_then(|mut update| update.execute((stream.as_str(), begin.at.high.cast_signed())))
        .map_err(&failed)?;
    }
    tx.commit().map_err(&failed)?;
    Ok(vec![begin; tops.len()])
}

/// The last number below the current generation of each shard: of a row that is still there, or of the
/// last one that was pruned.
pub(super) fn left_behind(
    db: &rusqlite::Connection,
    options: &Options,
    tops: &[Lease],
) -> Result<Vec<EntryId>, Error> {
    let failed = while_doing("look for what older generations left");
    let mut query = db
        .prepare_cached(&options.prefix.sql(
            "SELECT generation, seq FROM (
               SELECT * FROM (
                 SELECT generation, seq FROM ~outbox
                 WHERE stream = ?1 AND shard = ?2 AND seq IS NOT NULL AND generation < ?3
                 ORDER BY generation DESC, seq DESC LIMIT 1
               )
               UNION ALL
               SELECT generation, seq FROM ~millstream_pruned
               WHERE stream = ?1 AND shard = ?2 AND generation < ?3
             )
             ORDER BY generation DESC, seq DESC LIMIT 1",
        ))
        .map_err(&failed)?;
    let mut left = Vec::with_capacity(tops.len());
    for top in tops {
        let shard = owned(top)?;
        let current = top.checkpoint.at.high.cast_signed();
        let found = query
            .query_row((shard.stream.as_str(), shard.number, current), |row| {
                Ok(EntryId::new(number(row, 0)?, number(row, 1)?))
            })
            .optional()
            .map_err(&failed)?;
        left.push(found.unwrap_or_default());
    }
    Ok(left)
}
