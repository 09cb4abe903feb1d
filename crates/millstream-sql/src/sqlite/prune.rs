//! Taking sent events out of the outbox, from the beginning of each shard.

use rusqlite::{OptionalExtension, Transaction, params};

use bytes::Bytes;
use millstream_core::clock::Timestamp;
use millstream_core::entry::{EntryId, Shard};
use millstream_core::error::Error;
use millstream_core::lease::{Lease, Role};
use millstream_core::name::StreamName;

use crate::identifier::Prefix;
use crate::sqlite::database::{Options, while_doing};
use crate::sqlite::leases::{compare, immediate, number};
use crate::sqlite::outbox::bytes;
use crate::tops::owned;

/// Removes rows from the beginning of a shard, and says how far it is pruned then.
pub(super) fn prune(
    db: &mut rusqlite::Connection,
    options: &Options,
    top: &Lease,
    through: EntryId,
    numbered_before: Timestamp,
    limit: usize,
) -> Result<EntryId, Error> {
    let failed = while_doing("prune the outbox");
    let prefix = &options.prefix;
    let shard = owned(top)?;
    let tx = immediate(db, &failed)?;
    compare(&tx, prefix, std::slice::from_ref(top))?;
    let last = last_to_go(&tx, prefix, shard, through, numbered_before, limit).map_err(&failed)?;
    let Some(last) = last else {
        return mark(&tx, prefix, shard).map_err(&failed);
    };
    // Before its rows: a trigger keeps what is above the mark.
    tx.prepare_cached(&prefix.sql(
        "INSERT OR REPLACE INTO ~millstream_pruned (stream, shard, generation, seq, event_id)
         SELECT stream, shard, generation, seq, event_id FROM ~outbox
         WHERE stream = ?1 AND shard = ?2 AND generation = ?3 AND seq = ?4",
    ))
    .and_then(|mut raise| raise.execute(place(shard, last)))
    .map_err(&failed)?;
    tx.prepare_cached(&prefix.sql(
        "DELETE FROM ~outbox
         WHERE stream = ?1 AND shard = ?2 AND seq IS NOT NULL AND (generation, seq) <= (?3, ?4)",
    ))
    .and_then(|mut delete| delete.execute(place(shard, last)))
    .map_err(&failed)?;
    tx.commit().map_err(&failed)?;
    Ok(last)
}

/// The last of the rows that may go; none if the first may not.
fn last_to_go(
    tx: &Transaction<'_>,
    prefix: &Prefix,
    shard: &Shard,
    through: EntryId,
    numbered_before: Timestamp,
    limit: usize,
) -> rusqlite::Result<Option<EntryId>> {
    let mut query = tx.prepare_cached(&prefix.sql(
        "SELECT generation, seq, numbered_at FROM ~outbox
         WHERE stream = ?1 AND shard = ?2 AND seq IS NOT NULL
         ORDER BY generation, seq LIMIT ?3",
    ))?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = query.query(params![shard.stream.as_str(), shard.number, limit])?;
    let mut last = None;
    while let Some(row) = rows.next()? {
        let at = EntryId::new(number(row, 0)?, number(row, 1)?);
        let numbered_at = Timestamp::from_millis(row.get(2)?);
        if at > through || numbered_at >= numbered_before {
            break;
        }
        last = Some(at);
    }
    Ok(last)
}

fn mark(tx: &Transaction<'_>, prefix: &Prefix, shard: &Shard) -> rusqlite::Result<EntryId> {
    let mark = tx
        .prepare_cached(&prefix.sql(
            "SELECT generation, seq FROM ~millstream_pruned WHERE stream = ?1 AND shard = ?2",
        ))?
        .query_row(params![shard.stream.as_str(), shard.number], |row| {
            Ok(EntryId::new(number(row, 0)?, number(row, 1)?))
        })
        .optional()?;
    Ok(mark.unwrap_or(EntryId::ZERO))
}

/// The id of the event that was the last to be pruned, if it stood there.
pub(super) fn event_at(
    db: &rusqlite::Connection,
    prefix: &Prefix,
    shard: &Shard,
    at: EntryId,
) -> rusqlite::Result<Option<Bytes>> {
    db.prepare_cached(&prefix.sql(
        "SELECT event_id FROM ~millstream_pruned
         WHERE stream = ?1 AND shard = ?2 AND generation = ?3 AND seq = ?4",
    ))?
    .query_row(place(shard, at), |row| bytes(row, 0))
    .optional()
}

/// Reads how far each shard of a stream is pruned.
pub(super) fn marks(
    db: &rusqlite::Connection,
    options: &Options,
    stream: &StreamName,
) -> rusqlite::Result<Vec<EntryId>> {
    db.prepare_cached(&options.prefix.sql(
        "SELECT coalesce(p.generation, 0), coalesce(p.seq, 0)
         FROM ~millstream_shards s
         LEFT JOIN ~millstream_pruned p ON p.stream = s.stream AND p.shard = s.shard
         WHERE s.role = ?1 AND s.stream = ?2 AND s.source = ?3 ORDER BY s.shard",
    ))?
    .query_map(
        [
            Role::Relay.as_str(),
            stream.as_str(),
            options.application.as_str(),
        ],
        |row| Ok(EntryId::new(number(row, 0)?, number(row, 1)?)),
    )?
    .collect()
}

/// Stream, shard, generation and seq.
pub(super) fn place(shard: &Shard, at: EntryId) -> (&str, u16, i64, i64) {
    (
        shard.stream.as_str(),
        shard.number,
        at.high.cast_signed(),
        at.low.cast_signed(),
    )
}
