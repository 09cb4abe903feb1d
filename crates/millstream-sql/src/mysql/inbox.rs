use mysql_async::Value;

use millstream_core::clock::Timestamp;
use millstream_core::contents::ContentHash;
use millstream_core::delivery::{Content, Delivery, Outcome};
use millstream_core::entry::EntryId;
use millstream_core::error::Error;
use millstream_core::lease::{Feed, Role};
use millstream_core::store::{Old, Pruned};

use crate::batch::Item;
use crate::identifier::Prefix;
use crate::mysql::database::Database;
use crate::mysql::leases::place;
use crate::mysql::row::{entry_id, integer};
use crate::mysql::session::{Session, values};
use crate::old;

/// Rows of the inbox to be written, of one feed.
pub(super) struct Insert {
    shard: i64,
    shared: bool,
    applied_at: Timestamp,
    rows: Vec<Vec<Value>>,
}

impl Insert {
    pub(super) fn new(shard: i64, shared: bool, applied_at: Timestamp) -> Self {
        Self {
            shard,
            shared,
            applied_at,
            rows: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, item: &Item<'_>, outcome: Outcome) {
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
        self.rows.push(values![
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
        ]);
    }

    pub(super) async fn write(self, session: &mut Session, prefix: &Prefix) -> Result<(), Error> {
        let head = prefix.sql(
            "INSERT INTO ~millstream_inbox
               (shard, generation, seq, twin, event_id, event_type, source_application, tenant_id,
                entity_id, outcome, published_at, received_at, applied_at, content_hash)",
        );
        session
            .insert("write the inbox", &head, "", self.rows)
            .await
    }
}

/// The application that a delivery of the shared stream says it comes from.
pub(super) fn source(delivery: &Delivery) -> Option<&str> {
    match &delivery.content {
        Content::Event { event, .. } => Some(event.source.as_str()),
        Content::Undecodable(part) => part.source.as_deref(),
    }
}

/// Removes rows that are old and settled, in transactions of their own: nothing depends on all of them.
pub(super) async fn prune(
    db: &Database,
    feed: &Feed,
    old: &Old,
    limit: usize,
) -> Result<Pruned, Error> {
    let doing = "prune the inbox";
    // Spelled so, or neither server looks it up in the index.
    let sql = db.sql(
        "SELECT i.shard, i.generation, i.seq, i.applied_at, d.id IS NOT NULL
         FROM ~millstream_inbox i
         LEFT JOIN ~dead_letters d
           ON d.shard = i.shard AND d.generation = i.generation AND d.seq = i.seq AND d.twin = i.twin
         WHERE i.shard = (SELECT id FROM ~millstream_shards
                          WHERE role = ? AND stream = ? AND source = ? AND shard = ?)
           AND ((i.generation = ? AND i.seq > ?) OR i.generation > ?)
         ORDER BY i.generation, i.seq LIMIT ?",
    );
    let after = place_of(old.after);
    let mut parameters = place(Role::Consumer, feed);
    let limited = i64::try_from(limit).unwrap_or(i64::MAX);
    parameters.extend(values![after.0, after.1, after.0, limited]);
    let mut session = db.session().await?;
    let found = session.all(doing, &sql, parameters).await?;
    let rows: Vec<old::Row> = found
        .iter()
        .map(|row| old::Row {
            at: entry_id(row, 1),
            applied_at: Timestamp::from_millis(integer(row, 3)),
            parked: integer(row, 4) != 0,
        })
        .collect();
    let (ranges, pruned) = old::going(&rows, old, limit);
    for (first, last) in ranges {
        let shard = integer(&found[0], 0);
        let (first, last) = (place_of(first), place_of(last));
        let (sql, parameters) = match first.0 == last.0 {
            true => (
                "DELETE FROM ~millstream_inbox
                 WHERE shard = ? AND generation = ? AND seq BETWEEN ? AND ?",
                values![shard, first.0, first.1, last.1],
            ),
            false => (
                "DELETE FROM ~millstream_inbox
                 WHERE shard = ? AND ((generation = ? AND seq >= ?)
                   OR (generation > ? AND generation < ?) OR (generation = ? AND seq <= ?))",
                values![shard, first.0, first.1, first.0, last.0, last.0, last.1],
            ),
        };
        session.run(doing, &db.sql(sql), parameters).await?;
    }
    session.give_back();
    Ok(pruned)
}

fn place_of(at: EntryId) -> (i64, i64) {
    (at.high.cast_signed(), at.low.cast_signed())
}
