//! Which deliveries were here before, where the checkpoint cannot tell.

use std::collections::HashMap;

use deadpool_postgres::Transaction;
use tokio_postgres::Row;

use millstream_core::contents::ContentHash;
use millstream_core::delivery::{Content, Delivery};
use millstream_core::entry::Shard;
use millstream_core::error::Error;
use millstream_core::lease::Role;
use millstream_core::name::{EventId, TenantId};

use crate::batch::{Dedupe, Found, Letter, Twin, is_of_later_generation, tenant};
use crate::identifier::Prefix;
use crate::postgres::database::while_doing;
use crate::postgres::inbox::source;
use crate::repeats::{self, Earlier, Trace, processed_before};

/// What was committed before says about each delivery.
pub(super) async fn look(
    dedupe: Dedupe<'_>,
    tx: &Transaction<'_>,
    prefix: &Prefix,
    row: i64,
    deliveries: &[Delivery],
    contents: &[Option<ContentHash>],
) -> Result<Vec<Found>, Error> {
    match dedupe {
        Dedupe::Checkpoint => Ok(vec![Found::New(Twin::FIRST); deliveries.len()]),
        Dedupe::Generation(shard) => again(tx, prefix, shard, deliveries).await,
        Dedupe::Shared => shared(tx, prefix, row, deliveries, contents).await,
    }
}

/// Of parked events that are tried again, those to be passed over: a letter that is not in its turn,
/// and an event of the shared stream that was processed under another entry.
pub(super) async fn look_again(
    dedupe: Dedupe<'_>,
    tx: &Transaction<'_>,
    prefix: &Prefix,
    row: i64,
    deliveries: &[Delivery],
    contents: &[Option<ContentHash>],
    letters: &[Option<Letter>],
) -> Result<Vec<Found>, Error> {
    let processed = match dedupe {
        Dedupe::Shared => by_event(tx, prefix, row, deliveries).await?,
        Dedupe::Checkpoint | Dedupe::Generation(_) => HashMap::new(),
    };
    let found = |place: usize| match &letters[place] {
        None => Found::Repeated,
        Some(_) => {
            let processed = processed.get(&place).map_or(&[][..], Vec::as_slice);
            processed_before(processed, Twin::FIRST, contents[place])
        }
    };
    Ok((0..deliveries.len()).map(found).collect())
}

/// Those of a later generation whose event is in the inbox, from whichever shard of the stream.
async fn again(
    tx: &Transaction<'_>,
    prefix: &Prefix,
    shard: &Shard,
    deliveries: &[Delivery],
) -> Result<Vec<Found>, Error> {
    let failed = while_doing("look into the inbox");
    let query = tx
        .prepare_cached(&prefix.sql(
            "SELECT n.at FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS n (id, tenant, at)
             WHERE EXISTS (
               SELECT 1 FROM ~millstream_inbox i JOIN ~millstream_shards s ON s.id = i.shard
               WHERE i.event_id = n.id AND i.tenant_id IS NOT DISTINCT FROM n.tenant
                 AND s.role = $3 AND s.stream = $4 AND s.source = $5)",
        ))
        .await
        .map_err(failed)?;
    let ids: Vec<Option<&str>> = deliveries
        .iter()
        .map(|delivery| {
            let id = delivery.event_id().map(EventId::as_str);
            id.filter(|_| is_of_later_generation(delivery))
        })
        .collect();
    let tenants: Vec<Option<&str>> = deliveries
        .iter()
        .map(|delivery| tenant(delivery).map(TenantId::as_str))
        .collect();
    let (stream, source) = (shard.stream.as_str(), shard.owner.as_str());
    let known = tx
        .query(
            &query,
            &[&ids, &tenants, &Role::Consumer.as_str(), &stream, &source],
        )
        .await
        .map_err(failed)?;
    let mut found = vec![Found::New(Twin::FIRST); deliveries.len()];
    for row in known {
        found[place(&row)] = Found::Repeated;
    }
    Ok(found)
}

/// Which of the things that were asked about a row is of.
fn place(row: &Row) -> usize {
    let number: i64 = row.get(0);
    usize::try_from(number - 1).expect("they are counted from 1")
}

fn hash(row: &Row, column: usize) -> Option<ContentHash> {
    row.get::<_, Option<i64>>(column).map(ContentHash::from_i64)
}

/// Those of the shared stream that were here before.
async fn shared(
    tx: &Transaction<'_>,
    prefix: &Prefix,
    row: i64,
    deliveries: &[Delivery],
    contents: &[Option<ContentHash>],
) -> Result<Vec<Found>, Error> {
    let mut by_entry = by_entry(tx, prefix, row, deliveries).await?;
    let mut by_event = by_event(tx, prefix, row, deliveries).await?;
    let traces = (0..deliveries.len()).map(|place| Trace {
        entries: by_entry.remove(&place).unwrap_or_default(),
        processed: by_event.remove(&place).unwrap_or_default(),
    });
    let traces: Vec<Trace> = traces.collect();
    Ok(repeats::find(deliveries, contents, &traces, source))
}

/// The inbox rows that have the entry id of a delivery, by its place, in the order of their twins.
async fn by_entry(
    tx: &Transaction<'_>,
    prefix: &Prefix,
    row: i64,
    deliveries: &[Delivery],
) -> Result<HashMap<usize, Vec<Earlier>>, Error> {
    let failed = while_doing("look into the inbox");
    // Raw fields are long, and only compared where nothing else is known.
    let query = tx
        .prepare_cached(&prefix.sql(
            "SELECT n.at, i.twin, i.event_id, i.source_application, i.tenant_id,
                    CASE WHEN n.raw THEN d.raw END, i.content_hash
             FROM unnest($2::bigint[], $3::bigint[], $4::boolean[])
               WITH ORDINALITY AS n (generation, seq, raw, at)
             JOIN ~millstream_inbox i
               ON i.shard = $1 AND i.generation = n.generation AND i.seq = n.seq
             LEFT JOIN ~dead_letters d
               ON d.shard = i.shard AND d.generation = i.generation AND d.seq = i.seq
                 AND d.twin = i.twin
             ORDER BY n.at, i.twin",
        ))
        .await
        .map_err(failed)?;
    let each = || deliveries.iter();
    let generations: Vec<i64> = each().map(|d| d.entry.high.cast_signed()).collect();
    let seqs: Vec<i64> = each().map(|d| d.entry.low.cast_signed()).collect();
    let raw: Vec<bool> = each()
        .map(|d| matches!(d.content, Content::Undecodable(_)))
        .collect();
    let rows = tx
        .query(&query, &[&row, &generations, &seqs, &raw])
        .await
        .map_err(failed)?;
    let mut found: HashMap<usize, Vec<Earlier>> = HashMap::new();
    for row in &rows {
        found.entry(place(row)).or_default().push(earlier(row));
    }
    Ok(found)
}

/// What the events say that were processed under the ids of deliveries, by their places.
async fn by_event(
    tx: &Transaction<'_>,
    prefix: &Prefix,
    row: i64,
    deliveries: &[Delivery],
) -> Result<HashMap<usize, Vec<Option<ContentHash>>>, Error> {
    let failed = while_doing("look into the inbox");
    let query = tx
        .prepare_cached(&prefix.sql(
            "SELECT n.at, i.content_hash
             FROM unnest($2::text[], $3::text[], $4::text[])
               WITH ORDINALITY AS n (id, source, tenant, at)
             JOIN ~millstream_inbox i
               ON i.event_id = n.id AND i.shard = $1
                 AND i.source_application IS NOT DISTINCT FROM n.source
                 AND i.tenant_id IS NOT DISTINCT FROM n.tenant
                 AND i.outcome IN ('applied', 'superseded', 'skipped')",
        ))
        .await
        .map_err(failed)?;
    let each = || {
        deliveries.iter().map(|delivery| match &delivery.content {
            Content::Event { event, .. } => Some(event),
            Content::Undecodable(_) => None,
        })
    };
    let ids: Vec<Option<&str>> = each().map(|e| e.map(|e| e.id.as_str())).collect();
    let sources: Vec<Option<&str>> = each().map(|e| e.map(|e| e.source.as_str())).collect();
    let tenants: Vec<Option<&str>> = each().map(|e| e.map(|e| e.tenant.as_str())).collect();
    let rows = tx
        .query(&query, &[&row, &ids, &sources, &tenants])
        .await
        .map_err(failed)?;
    let mut processed: HashMap<usize, Vec<Option<ContentHash>>> = HashMap::new();
    for row in &rows {
        processed.entry(place(row)).or_default().push(hash(row, 1));
    }
    Ok(processed)
}

fn earlier(row: &Row) -> Earlier {
    Earlier {
        twin: Twin(row.get(1)),
        event_id: row.get(2),
        source: row.get(3),
        tenant: row.get(4),
        raw: row.get(5),
        contents: hash(row, 6),
    }
}
