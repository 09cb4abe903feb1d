use std::borrow::Cow;

use deadpool_postgres::Transaction;

use millstream_core::clock::Timestamp;
use millstream_core::contents::ContentHash;
use millstream_core::delivery::{Content, Delivery, Outcome};
use millstream_core::error::Error;
use millstream_core::name::TenantId;

use crate::batch::{Item, tenant};
use crate::identifier::Prefix;
use crate::postgres::database::while_doing;

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
