use std::borrow::Cow;

use deadpool_postgres::Transaction;

use millstream_core::clock::Timestamp;
use millstream_core::contents::ContentHash;
use millstream_core::delivery::{Content, Delivery, Outcome};
use millstream_core::entry::EntryId;
use millstream_core::error::Error;
use millstream_core::lease::{Feed, Role};
use millstream_core::name::TenantId;
use millstream_core::store::{Old, Pruned};

use crate::batch::{Item, tenant};
use crate::identifier::Prefix;
use crate::old;
use crate::postgres::database::{Database, while_doing};
use crate::postgres::leases::{columns, number};

/// How a delivery ended.
pub(super) struct Settled<'a> {
    pub(super) item: &'a Item<'a>,
    pub(super) outcome: Outcome,
}

/// Writes inbox rows of one feed.
pub(super) async fn insert(
    tx: &Transaction<'_>,
    prefix: &Prefix,
    shard: i64,
    shared: bool,
    applied_at: Timestamp,
    rows: &[Settled<'_>],
) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let failed = while_doing("write the inbox");
    let insert = tx
        .prepare_cached(&prefix.sql(
            "INSERT INTO ~millstream_inbox
               (shard, generation, seq, twin, event_id, event_type, source_application,
                tenant_id, entity_id, outcome, published_at, received_at, applied_at, content_hash)
             SELECT $1, r.generation, r.seq, r.twin, r.event_id, r.event_type, r.source, r.tenant,
                    r.entity, r.outcome, r.published_at, r.received_at, $2, r.content_hash
             FROM unnest($3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::text[],
                         $8::text[], $9::text[], $10::text[], $11::text[], $12::text[],
                         $13::bigint[], $14::bigint[])
               AS r (generation, seq, twin, event_id, event_type, source, tenant, entity, outcome,
                     published_at, received_at, content_hash)",
        ))
        .await
        .map_err(failed)?;

    let all = || rows.iter().map(|row| row.item.delivery);
    let generations: Vec<i64> = all().map(|d| d.entry.high.cast_signed()).collect();
    let seqs: Vec<i64> = all().map(|d| d.entry.low.cast_signed()).collect();
    let twins: Vec<i64> = rows.iter().map(|row| row.item.found.twin().0).collect();
    let ids: Vec<Option<&str>> = all().map(|d| d.event_id().map(|id| id.as_str())).collect();
    let types: Vec<Option<Cow<'_, str>>> = all().map(event_type).collect();
    let sources: Vec<Option<Cow<'_, str>>> = all()
        .map(|delivery| source(delivery).filter(|_| shared))
        .collect();
    let tenants: Vec<Option<&str>> = all().map(|d| tenant(d).map(TenantId::as_str)).collect();
    let entities: Vec<Option<&str>> = all().map(entity).collect();
    let outcomes: Vec<&str> = rows.iter().map(|row| row.outcome.as_str()).collect();
    let published: Vec<Option<Cow<'_, str>>> = all().map(published_at).collect();
    let received: Vec<i64> = all().map(|d| d.received_at.as_millis()).collect();
    let hashes = rows.iter().map(|row| row.item.contents);
    let hashes: Vec<Option<i64>> = hashes.map(|hash| hash.map(ContentHash::as_i64)).collect();
    tx.execute(
        &insert,
        &[
            &shard,
            &applied_at.as_millis(),
            &generations,
            &seqs,
            &twins,
            &ids,
            &types,
            &sources,
            &tenants,
            &entities,
            &outcomes,
            &published,
            &received,
            &hashes,
        ],
    )
    .await
    .map(drop)
    .map_err(failed)
}

/// The type of a delivery's event, if it could be read.
pub(super) fn event_type(delivery: &Delivery) -> Option<Cow<'_, str>> {
    match &delivery.content {
        Content::Event { event, .. } => Some(storable(event.event_type.as_str())),
        Content::Undecodable(part) => part.event_type.as_deref().map(storable),
    }
}

/// The application that a delivery of the shared stream says it comes from.
pub(super) fn source(delivery: &Delivery) -> Option<Cow<'_, str>> {
    match &delivery.content {
        Content::Event { event, .. } => Some(storable(event.source.as_str())),
        Content::Undecodable(part) => part.source.as_deref().map(storable),
    }
}

fn entity(delivery: &Delivery) -> Option<&str> {
    match &delivery.content {
        Content::Event { event, .. } => Some(event.entity.as_str()),
        Content::Undecodable(part) => part.key.as_ref().map(|key| key.as_str()),
    }
}

fn published_at(delivery: &Delivery) -> Option<Cow<'_, str>> {
    match &delivery.content {
        Content::Event { event, .. } => Some(storable(event.timestamp.as_str())),
        Content::Undecodable(_) => None,
    }
}

/// No text of PostgreSQL holds a NUL. What names an event or a key has none; elsewhere it shows as a
/// character that cannot be shown.
pub(super) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        text.replace('\0', "\u{fffd}").into()
    } else {
        text.into()
    }
}

/// Removes rows that are old and settled, in transactions of their own: nothing depends on all of them.
pub(super) async fn prune(
    db: &Database,
    feed: &Feed,
    old: &Old,
    limit: usize,
) -> Result<Pruned, Error> {
    const DOING: &str = "prune the inbox";
    let failed = while_doing(DOING);
    let connection = db.connection(DOING).await?;
    let look = connection
        .prepare_cached(&db.sql(
            "SELECT i.shard, i.generation, i.seq, i.applied_at, d.id IS NOT NULL
             FROM ~millstream_inbox i
             LEFT JOIN ~dead_letters d
               ON d.shard = i.shard AND d.generation = i.generation AND d.seq = i.seq
                 AND d.twin = i.twin
             WHERE i.shard = (SELECT id FROM ~millstream_shards
                              WHERE role = $1 AND stream = $2 AND source = $3 AND shard = $4)
               AND (i.generation, i.seq) > ($5, $6)
             ORDER BY i.generation, i.seq LIMIT $7",
        ))
        .await
        .map_err(failed)?;
    let (stream, source, shard) = columns(feed);
    let found = connection
        .query(
            &look,
            &[
                &Role::Consumer.as_str(),
                &stream,
                &source,
                &shard,
                &old.after.high.cast_signed(),
                &old.after.low.cast_signed(),
                &i64::try_from(limit).unwrap_or(i64::MAX),
            ],
        )
        .await
        .map_err(failed)?;
    let rows: Vec<old::Row> = found
        .iter()
        .map(|row| old::Row {
            at: EntryId::new(number(row, 1), number(row, 2)),
            applied_at: Timestamp::from_millis(row.get(3)),
            parked: row.get(4),
        })
        .collect();
    let (ranges, pruned) = old::going(&rows, old, limit);
    let remove = connection
        .prepare_cached(&db.sql(
            "DELETE FROM ~millstream_inbox
             WHERE shard = $1 AND (generation, seq) >= ($2, $3) AND (generation, seq) <= ($4, $5)",
        ))
        .await
        .map_err(failed)?;
    for (first, last) in ranges {
        let shard: i64 = found[0].get(0);
        let place = |at: EntryId| (at.high.cast_signed(), at.low.cast_signed());
        let (first, last) = (place(first), place(last));
        connection
            .execute(&remove, &[&shard, &first.0, &first.1, &last.0, &last.1])
            .await
            .map_err(failed)?;
    }
    Ok(pruned)
}
