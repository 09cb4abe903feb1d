use std::collections::HashSet;

use rusqlite::{CachedStatement, params};

use millstream_core::clock::Timestamp;
use millstream_core::delivery::{Content, Delivery, Outcome};
use millstream_core::error::Error;

use crate::identifier::Prefix;
use crate::sqlite::database::while_doing;

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
                   (shard, generation, seq, event_id, event_type, source_application, tenant_id,
                    entity_id, outcome, published_at, received_at, applied_at)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            ))
            .map_err(while_doing("write the inbox"))?;
        Ok(Self {
            statement,
            shard,
            shared,
            applied_at,
        })
    }

    pub(super) fn insert(&mut self, delivery: &Delivery, outcome: Outcome) -> Result<(), Error> {
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
                delivery.event_id().map(|id| id.as_str()),
                event_type,
                source,
                tenant,
                entity,
                outcome.as_str(),
                published_at,
                delivery.received_at.as_millis(),
                self.applied_at.as_millis(),
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

/// Which deliveries of the shared stream need not be applied: their entry is in the inbox, or stands
/// earlier among them, or an event with the same source, tenant and id was processed.
///
/// One that is dead is no reason: it may have been published again because it was.
pub(super) fn repeated(
    tx: &rusqlite::Transaction<'_>,
    prefix: &Prefix,
    shard: i64,
    deliveries: &[Delivery],
) -> Result<Vec<bool>, Error> {
    let failed = while_doing("look into the inbox");
    let mut by_entry = tx
        .prepare_cached(&prefix.sql(
            "SELECT EXISTS (SELECT 1 FROM ~millstream_inbox
                            WHERE shard = ?1 AND generation = ?2 AND seq = ?3)",
        ))
        .map_err(&failed)?;
    let mut by_event = tx
        .prepare_cached(&prefix.sql(
            "SELECT EXISTS (SELECT 1 FROM ~millstream_inbox
                            WHERE event_id = ?1 AND shard = ?2 AND source_application IS ?3
                              AND tenant_id IS ?4
                              AND outcome IN ('applied', 'superseded', 'skipped'))",
        ))
        .map_err(&failed)?;

    let mut repeated = Vec::with_capacity(deliveries.len());
    let mut entries = HashSet::new();
    for delivery in deliveries {
        let entry = delivery.entry;
        let mut known = !entries.insert(entry)
            || by_entry
                .query_row(
                    (shard, entry.high.cast_signed(), entry.low.cast_signed()),
                    |row| row.get(0),
                )
                .map_err(&failed)?;
        if let (false, Content::Event { event, .. }) = (known, &delivery.content) {
            let (id, source) = (event.id.as_str(), event.source.as_str());
            known = by_event
                .query_row((id, shard, source, event.tenant.as_str()), |row| row.get(0))
                .map_err(&failed)?;
        }
        repeated.push(known);
    }
    Ok(repeated)
}
