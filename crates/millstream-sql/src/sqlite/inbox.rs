use rusqlite::{CachedStatement, OptionalExtension as _, params};

use millstream_core::clock::Timestamp;
use millstream_core::contents::ContentHash;
use millstream_core::delivery::{Content, Delivery, Outcome};
use millstream_core::entry::EntryId;
use millstream_core::error::Error;
use millstream_core::lease::{Feed, Role};
use millstream_core::store::{Old, Pruned};

use crate::batch::Item;
use crate::identifier::Prefix;
use crate::old;
use crate::sqlite::database::while_doing;
use crate::sqlite::leases::{columns, immediate, number};

/// The statement that writes inbox rows of one feed.
pub(super) struct Insert<'tx> {
    statement: CachedStatement<'tx>,
    shard: i64,
    shared: bool,
    applied_at: Timestamp,
}

impl<'tx> Insert<'tx> {
    pub(super) fn prepare(
        tx: &'tx rusqlite::Transaction<'_>,
        prefix: &Prefix,
        shard: i64,
        shared: bool,
        applied_at: Timestamp,
    ) -> Result<Self, Error> {
        let statement = tx
            .prepare_cached(&prefix.sql(
                "INSERT INTO ~millstream_inbox
                   (shard, generation, seq, twin, event_id, event_type, source_application,
                    tenant_id, entity_id, outcome, published_at, received_at, applied_at,
                    content_hash)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            ))
            .map_err(while_doing("write the inbox"))?;
        Ok(Self {
            statement,
            shard,
            shared,
            applied_at,
        })
    }

    pub(super) fn insert(&mut self, item: &Item<'_>, outcome: Outcome) -> Result<(), Error> {
        let delivery = item.delivery;
        let source = if self.shared { source(delivery) } else { None };
        let (event_type, tenant, entity, published_at) = match &delivery.content {
            Content::Event { event, .. } => (
                Some(event.event_type.as_str()),
                Some(event.tenant.as_str()),
                Some(event.entity.as_str()),
                Some(event.timestamp.as_str()),
            ),
            Content::Undecodable(part) => (
                part.event_type.as_deref(),
                part.tenant.as_ref().map(|tenant| tenant.as_str()),
                part.key.as_ref().map(|key| key.as_str()),
                None,
            ),
        };
        self.statement
            .execute(params![
                self.shard,
                delivery.entry.high.cast_signed(),
                delivery.entry.low.cast_signed(),
                item.found.twin().0,
                delivery.event_id().map(|id| id.as_str()),
                event_type,
                source,
                tenant,
                entity,
                outcome.as_str(),
                published_at,
                delivery.received_at.as_millis(),
                self.applied_at.as_millis(),
                item.contents.map(ContentHash::as_i64),
            ])
            .map(drop)
            .map_err(while_doing("write the inbox"))
    }
}

/// The application that a delivery of the shared stream says it comes from.
pub(super) fn source(delivery: &Delivery) -> Option<&str> {
    match &delivery.content {
        Content::Event { event, .. } => Some(event.source.as_str()),
        Content::Undecodable(part) => part.source.as_deref(),
    }
}

/// Removes rows that are old and settled.
pub(super) fn prune(
    db: &mut rusqlite::Connection,
    prefix: &Prefix,
    feed: &Feed,
    old: &Old,
    limit: usize,
) -> Result<Pruned, Error> {
    let failed = while_doing("prune the inbox");
    let tx = immediate(db, &failed)?;
    let pruned = prune_in(&tx, prefix, feed, old, limit).map_err(&failed)?;
    tx.commit().map_err(&failed)?;
    Ok(pruned)
}

fn prune_in(
    tx: &rusqlite::Transaction<'_>,
    prefix: &Prefix,
    feed: &Feed,
    old: &Old,
    limit: usize,
) -> rusqlite::Result<Pruned> {
    let (stream, source, shard) = columns(feed);
    let shard = tx
        .prepare_cached(&prefix.sql(
            "SELECT id FROM ~millstream_shards
             WHERE role = ?1 AND stream = ?2 AND source = ?3 AND shard = ?4",
        ))?
        .query_row((Role::Consumer.as_str(), stream, source, shard), |row| {
            row.get::<_, i64>(0)
        })
        .optional()?;
    let Some(shard) = shard else {
        return Ok(Pruned::default());
    };
    let place = |at: EntryId| (at.high.cast_signed(), at.low.cast_signed());
    let after = place(old.after);
    let mut look = tx.prepare_cached(&prefix.sql(
        "SELECT i.generation, i.seq, i.applied_at, d.id IS NOT NULL
         FROM ~millstream_inbox i
         LEFT JOIN ~dead_letters d
           ON d.shard = i.shard AND d.generation = i.generation AND d.seq = i.seq AND d.twin = i.twin
         WHERE i.shard = ?1 AND (i.generation, i.seq) > (?2, ?3)
         ORDER BY i.generation, i.seq LIMIT ?4",
    ))?;
    let limited = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = look.query_map((shard, after.0, after.1, limited), |row| {
        Ok(old::Row {
            at: EntryId::new(number(row, 0)?, number(row, 1)?),
            applied_at: Timestamp::from_millis(row.get(2)?),
            parked: row.get(3)?,
        })
    })?;
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    let (ranges, pruned) = old::going(&rows, old, limit);
    let mut remove = tx.prepare_cached(&prefix.sql(
        "DELETE FROM ~millstream_inbox
         WHERE shard = ?1 AND (generation, seq) >= (?2, ?3) AND (generation, seq) <= (?4, ?5)",
    ))?;
    for (first, last) in ranges {
        let (first, last) = (place(first), place(last));
        remove.execute((shard, first.0, first.1, last.0, last.1))?;
    }
    Ok(pruned)
}
