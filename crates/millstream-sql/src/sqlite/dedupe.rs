//! Which deliveries were here before, where the checkpoint cannot tell.

use std::borrow::Cow;

use rusqlite::{Row, Statement, Transaction};

use millstream_core::contents::ContentHash;
use millstream_core::delivery::{Content, Delivery};
use millstream_core::entry::{EntryId, Shard};
use millstream_core::error::Error;
use millstream_core::lease::Role;
use millstream_core::name::TenantId;

use crate::batch::{Dedupe, Found, Letter, Twin, is_of_later_generation, tenant};
use crate::identifier::Prefix;
use crate::repeats::{self, Earlier, Trace, processed_before};
use crate::sqlite::database::while_doing;
use crate::sqlite::inbox::source;

/// What was committed before says about each delivery.
pub(super) fn look(
    dedupe: Dedupe<'_>,
    tx: &Transaction<'_>,
    prefix: &Prefix,
    row: i64,
    deliveries: &[Delivery],
    contents: &[Option<ContentHash>],
) -> Result<Vec<Found>, Error> {
    let failed = while_doing("look into the inbox");
    match dedupe {
        Dedupe::Checkpoint => Ok(vec![Found::New(Twin::FIRST); deliveries.len()]),
        Dedupe::Generation(shard) => again(tx, prefix, shard, deliveries).map_err(failed),
        Dedupe::Shared => shared(tx, prefix, row, deliveries, contents).map_err(failed),
    }
}

/// Of parked events that are tried again, those to be passed over: a letter that is not in its turn,
/// and an event of the shared stream that was processed under another entry.
pub(super) fn look_again(
    dedupe: Dedupe<'_>,
    tx: &Transaction<'_>,
    prefix: &Prefix,
    row: i64,
    deliveries: &[Delivery],
    contents: &[Option<ContentHash>],
    letters: &[Option<Letter>],
) -> Result<Vec<Found>, Error> {
    let failed = while_doing("look into the inbox");
    let mut query = tx.prepare_cached(&prefix.sql(BY_EVENT)).map_err(&failed)?;
    let mut found = |at: usize| match (dedupe, &letters[at]) {
        (_, None) => Ok(Found::Repeated),
        (Dedupe::Shared, Some(_)) => {
            let processed = processed(&mut query, row, &deliveries[at])?;
            Ok(processed_before(&processed, Twin::FIRST, contents[at]))
        }
        _ => Ok(Found::New(Twin::FIRST)),
    };
    let each = 0..deliveries.len();
    each.map(|at| found(at).map_err(&failed)).collect()
}

/// What an event of the shared stream says that was processed under an id.
const BY_EVENT: &str = "SELECT content_hash FROM ~millstream_inbox
                        WHERE event_id = ?1 AND shard = ?2 AND source_application IS ?3
                          AND tenant_id IS ?4
                          AND outcome IN ('applied', 'superseded', 'skipped')";

/// Asks [`BY_EVENT`] about the event of a delivery.
fn processed(
    query: &mut Statement<'_>,
    row: i64,
    delivery: &Delivery,
) -> rusqlite::Result<Vec<Option<ContentHash>>> {
    let Content::Event { event, .. } = &delivery.content else {
        return Ok(Vec::new());
    };
    let (id, source) = (event.id.as_str(), event.source.as_str());
    let rows = query.query_map((id, row, source, event.tenant.as_str()), |row| hash(row, 0))?;
    rows.collect()
}

fn hash(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<ContentHash>> {
    let hash: Option<i64> = row.get(column)?;
    Ok(hash.map(ContentHash::from_i64))
}

/// Those of a later generation whose event is in the inbox, from whichever shard of the stream.
fn again(
    tx: &Transaction<'_>,
    prefix: &Prefix,
    shard: &Shard,
    deliveries: &[Delivery],
) -> rusqlite::Result<Vec<Found>> {
    let mut query = tx.prepare_cached(&prefix.sql(
        "SELECT EXISTS (
           SELECT 1 FROM ~millstream_inbox i JOIN ~millstream_shards s ON s.id = i.shard
           WHERE i.event_id = ?1 AND i.tenant_id IS ?2
             AND s.role = ?3 AND s.stream = ?4 AND s.source = ?5)",
    ))?;
    let (stream, source) = (shard.stream.as_str(), shard.owner.as_str());
    let mut look = |delivery: &Delivery| match delivery.event_id() {
        Some(id) if is_of_later_generation(delivery) => {
            let tenant = tenant(delivery).map(TenantId::as_str);
            let role = Role::Consumer.as_str();
            query.query_row((id.as_str(), tenant, role, stream, source), |row| {
                row.get(0)
            })
        }
        _ => Ok(false),
    };
    let found = |repeated| match repeated {
        true => Found::Repeated,
        false => Found::New(Twin::FIRST),
    };
    deliveries
        .iter()
        .map(|delivery| look(delivery).map(found))
        .collect()
}

/// Those of the shared stream that were here before.
fn shared(
    tx: &Transaction<'_>,
    prefix: &Prefix,
    row: i64,
    deliveries: &[Delivery],
    contents: &[Option<ContentHash>],
) -> rusqlite::Result<Vec<Found>> {
    let mut by_entry = tx.prepare_cached(&prefix.sql(
        "SELECT i.twin, i.event_id, i.source_application, i.tenant_id, d.raw, i.content_hash
         FROM ~millstream_inbox i LEFT JOIN ~dead_letters d
           ON d.shard = i.shard AND d.generation = i.generation AND d.seq = i.seq
             AND d.twin = i.twin
         WHERE i.shard = ?1 AND i.generation = ?2 AND i.seq = ?3 ORDER BY i.twin",
    ))?;
    let mut by_event = tx.prepare_cached(&prefix.sql(BY_EVENT))?;
    let mut trace = |delivery: &Delivery| {
        let EntryId { high, low } = delivery.entry;
        let place = (row, high.cast_signed(), low.cast_signed());
        Ok(Trace {
            entries: by_entry
                .query_map(place, earlier)?
                .collect::<Result<_, _>>()?,
            processed: processed(&mut by_event, row, delivery)?,
        })
    };
    let traces = deliveries.iter().map(&mut trace);
    let traces = traces.collect::<rusqlite::Result<Vec<_>>>()?;
    let source = |delivery| source(delivery).map(Cow::from);
    Ok(repeats::find(deliveries, contents, &traces, source))
}

fn earlier(row: &Row<'_>) -> rusqlite::Result<Earlier> {
    Ok(Earlier {
        twin: Twin(row.get(0)?),
        event_id: row.get(1)?,
        source: row.get(2)?,
        tenant: row.get(3)?,
        raw: row.get(4)?,
        contents: hash(row, 5)?,
    })
}
