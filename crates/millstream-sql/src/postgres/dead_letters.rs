use std::borrow::Cow;
use std::collections::HashSet;

use deadpool_postgres::Transaction;
use tokio_postgres::{GenericClient, Row};

use millstream_core::acknowledgment::Exception;
use millstream_core::blob;
use millstream_core::clock::Timestamp;
use millstream_core::delivery::{Delivery, Outcome, Reason};
use millstream_core::entry::{EntryId, Shard};
use millstream_core::error::Error;
use millstream_core::lease::{Feed, Role};
use millstream_core::name::{EventId, TenantId};
use millstream_core::store::{DeadLetter, DeadLetterQuery};
use millstream_core::wire::SOURCE_DEFAULT;

use crate::batch::{Key, KeyOf, Twin, tenant};
use crate::identifier::Prefix;
use crate::postgres::database::while_doing;
use crate::postgres::inbox::{event_type, source, storable};
use crate::postgres::leases::{feed, number};
use crate::postgres::subscribers::exception;

/// A delivery to be kept, with the reason.
pub(super) struct Parked<'a> {
    pub(super) delivery: &'a Delivery,
    pub(super) twin: Twin,
    /// What waits behind it, if anything does.
    pub(super) key: Option<KeyOf<'a>>,
    pub(super) outcome: Outcome,
    pub(super) reason: &'a Reason,
}

/// Parks deliveries, numbered in their order.
pub(super) async fn insert(
    tx: &Transaction<'_>,
    prefix: &Prefix,
    shard: i64,
    from: &Feed,
    parked_at: Timestamp,
    parked: &[Parked<'_>],
) -> Result<(), Error> {
    if parked.is_empty() {
        return Ok(());
    }
    let failed = while_doing("park an event");
    let insert = tx
        .prepare_cached(&prefix.sql(
            "INSERT INTO ~dead_letters
               (shard, generation, seq, twin, event_id, event_type, source_application,
                tenant_id, partition_key, outcome, reason, attempts, raw, parked_at)
             SELECT $1, r.generation, r.seq, r.twin, r.event_id, r.event_type, r.source, r.tenant,
                    r.key, r.outcome, r.reason, r.attempts, r.raw, $2
             FROM unnest($3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::text[],
                         $8::text[], $9::text[], $10::text[], $11::text[], $12::text[],
                         $13::bigint[], $14::bytea[])
               WITH ORDINALITY AS r (generation, seq, twin, event_id, event_type, source, tenant,
                                     key, outcome, reason, attempts, raw, place)
             ORDER BY r.place",
        ))
        .await
        .map_err(failed)?;

    let all = || parked.iter().map(|one| one.delivery);
    let generations: Vec<i64> = all().map(|d| d.entry.high.cast_signed()).collect();
    let seqs: Vec<i64> = all().map(|d| d.entry.low.cast_signed()).collect();
    let twins: Vec<i64> = parked.iter().map(|one| one.twin.0).collect();
    let ids: Vec<Option<&str>> = all().map(|d| d.event_id().map(EventId::as_str)).collect();
    let types: Vec<Option<Cow<'_, str>>> = all().map(event_type).collect();
    let sources: Vec<Cow<'_, str>> = all().map(|delivery| source_of(from, delivery)).collect();
    let tenants: Vec<Option<&str>> = all().map(|d| tenant(d).map(TenantId::as_str)).collect();
    let keys = parked
        .iter()
        .map(|one| one.key.map(|(_, key)| key.as_str()));
    let keys: Vec<Option<&str>> = keys.collect();
    let outcomes: Vec<&str> = parked.iter().map(|one| one.outcome.as_str()).collect();
    let reasons: Vec<Cow<'_, str>> = parked
        .iter()
        .map(|one| storable(one.reason.as_str()))
        .collect();
    // A blocked event was not tried.
    let attempts: Vec<i64> = parked
        .iter()
        .map(|one| i64::from(one.outcome != Outcome::Blocked))
        .collect();
    let raw: Vec<_> = all().map(|delivery| blob::encode(&delivery.raw)).collect();
    let raw: Vec<&[u8]> = raw.iter().map(AsRef::as_ref).collect();
    tx.execute(
        &insert,
        &[
            &shard,
            &parked_at.as_millis(),
            &generations,
            &seqs,
            &twins,
            &ids,
            &types,
            &sources,
            &tenants,
            &keys,
            &outcomes,
            &reasons,
            &attempts,
            &raw,
        ],
    )
    .await
    .map(drop)
    .map_err(failed)
}

/// The application that keys of a feed belong to.
pub(super) fn source_of<'a>(from: &'a Feed, delivery: &'a Delivery) -> Cow<'a, str> {
    match from {
        Feed::Owned(shard) => shard.owner.as_str().into(),
        Feed::Shared(_) => source(delivery).unwrap_or(SOURCE_DEFAULT.into()),
    }
}

/// Gives a parked event that a later generation brings again the place and the fields of its new
/// entry, and its inbox row with it. It stays parked, and in its turn.
///
/// Receipts name an event by its place, and the publisher knows it by the new one alone.
pub(super) async fn follow(
    tx: &Transaction<'_>,
    prefix: &Prefix,
    from: &Shard,
    shard: i64,
    delivery: &Delivery,
) -> Result<(), Error> {
    let failed = while_doing("follow a parked event");
    let query = tx
        .prepare_cached(&prefix.sql(
            "SELECT d.shard, d.generation, d.seq
             FROM ~millstream_inbox i
             JOIN ~millstream_shards s ON s.id = i.shard
             JOIN ~dead_letters d
               ON d.shard = i.shard AND d.generation = i.generation AND d.seq = i.seq
             WHERE i.event_id = $1 AND i.tenant_id IS NOT DISTINCT FROM $2
               AND s.role = $3 AND s.stream = $4 AND s.source = $5
             LIMIT 1",
        ))
        .await
        .map_err(failed)?;
    let found = tx
        .query_opt(
            &query,
            &[
                &delivery.event_id().map(EventId::as_str),
                &tenant(delivery).map(TenantId::as_str),
                &Role::Consumer.as_str(),
                &from.stream.as_str(),
                &from.owner.as_str(),
            ],
        )
        .await
        .map_err(failed)?;
    let Some(found) = found else {
        return Ok(());
    };
    let old: [i64; 3] = [found.get(0), found.get(1), found.get(2)];
    let (generation, seq) = (
        delivery.entry.high.cast_signed(),
        delivery.entry.low.cast_signed(),
    );
    tx.execute(
        &prefix.sql(
            "UPDATE ~dead_letters SET shard = $4, generation = $5, seq = $6, raw = $7
             WHERE shard = $1 AND generation = $2 AND seq = $3",
        ),
        &[
            &old[0],
            &old[1],
            &old[2],
            &shard,
            &generation,
            &seq,
            &blob::encode(&delivery.raw),
        ],
    )
    .await
    .map_err(failed)?;
    tx.execute(
        &prefix.sql(
            "UPDATE ~millstream_inbox SET shard = $4, generation = $5, seq = $6
             WHERE shard = $1 AND generation = $2 AND seq = $3",
        ),
        &[&old[0], &old[1], &old[2], &shard, &generation, &seq],
    )
    .await
    .map(drop)
    .map_err(failed)
}

/// Whether anything is parked at all.
pub(super) async fn any(tx: &Transaction<'_>, prefix: &Prefix) -> Result<bool, Error> {
    let failed = while_doing("look for parked events");
    let query = tx
        .prepare_cached(&prefix.sql("SELECT EXISTS (SELECT 1 FROM ~dead_letters)"))
        .await
        .map_err(failed)?;
    let row = tx.query_one(&query, &[]).await.map_err(failed)?;
    Ok(row.get(0))
}

/// Those of the keys of which an event is parked, so that later ones must wait.
pub(super) async fn held(
    tx: &Transaction<'_>,
    prefix: &Prefix,
    keys: HashSet<Key>,
) -> Result<HashSet<Key>, Error> {
    let failed = while_doing("look for parked events");
    let query = tx
        .prepare_cached(&prefix.sql(
            "SELECT n.at
             FROM unnest($1::text[], $2::text[], $3::text[])
               WITH ORDINALITY AS n (source, tenant, key, at)
             WHERE EXISTS (SELECT 1 FROM ~dead_letters
                           WHERE source_application = n.source AND tenant_id = n.tenant
                             AND partition_key = n.key)",
        ))
        .await
        .map_err(failed)?;
    let keys: Vec<Key> = keys.into_iter().collect();
    let sources: Vec<&str> = keys.iter().map(|key| &*key.0).collect();
    let tenants: Vec<&str> = keys.iter().map(|key| key.1.as_str()).collect();
    let names: Vec<&str> = keys.iter().map(|key| key.2.as_str()).collect();
    let rows = tx
        .query(&query, &[&sources, &tenants, &names])
        .await
        .map_err(failed)?;
    let places: HashSet<i64> = rows.iter().map(|row| row.get(0)).collect();
    let keys = (1..).zip(keys);
    Ok(keys
        .filter(|(place, _)| places.contains(place))
        .map(|(_, key)| key)
        .collect())
}

/// Reads dead letters in the order of their numbers.
pub(super) async fn list(
    db: &impl GenericClient,
    prefix: &Prefix,
    query: &DeadLetterQuery,
) -> Result<Vec<DeadLetter>, Error> {
    let rows = db
        .query(
            &prefix.sql(&format!(
                "SELECT {COLUMNS}
                 FROM ~dead_letters d JOIN ~millstream_shards s ON s.id = d.shard
                 WHERE d.id > $1 AND ($2::bigint IS NULL OR d.id = $2)
                 ORDER BY d.id LIMIT $3",
            )),
            &[
                &query.after,
                &query.number,
                &i64::try_from(query.limit).unwrap_or(i64::MAX),
            ],
        )
        .await
        .map_err(while_doing("read dead letters"))?;
    rows.iter().map(letter).collect()
}

/// What [`letter`] reads, of `d` and its shard `s`.
pub(super) const COLUMNS: &str =
    "s.stream, s.source, s.shard, d.id, d.generation, d.seq, d.event_id, d.event_type, d.tenant_id,
     d.partition_key, d.outcome, d.reason, d.attempts, d.parked_at, d.raw";

pub(super) fn letter(row: &Row) -> Result<DeadLetter, Error> {
    let raw: &[u8] = row.get(14);
    Ok(DeadLetter {
        feed: feed(row, 0)?,
        number: row.get(3),
        entry: EntryId::new(number(row, 4), number(row, 5)),
        event_id: row.get(6),
        event_type: row.get(7),
        tenant: row.get(8),
        key: row.get(9),
        outcome: Outcome::parse(row.get(10)).unwrap_or(Outcome::Dead),
        reason: row.get(11),
        attempts: u32::try_from(row.get::<_, i64>(12)).unwrap_or(u32::MAX),
        parked_at: Timestamp::from_millis(row.get(13)),
        raw: blob::decode(&raw.to_vec().into()).unwrap_or_default(),
    })
}

/// Reads what is parked of an owned shard, the earliest of it in its order, and counts all of it.
pub(super) async fn of_shard(
    db: &impl GenericClient,
    prefix: &Prefix,
    shard: &Shard,
    limit: usize,
) -> Result<(Vec<Exception>, u64), Error> {
    // One statement, so that both are of one state of the database.
    let rows = db
        .query(
            &prefix.sql(
                "WITH parked AS (
                   SELECT d.generation, d.seq, d.outcome, d.attempts, d.reason
                   FROM ~dead_letters d
                   WHERE d.shard = (SELECT id FROM ~millstream_shards
                                    WHERE role = $1 AND stream = $2 AND source = $3 AND shard = $4)
                 )
                 SELECT *, (SELECT count(*) FROM parked) FROM parked
                 ORDER BY generation, seq LIMIT greatest($5::bigint, 1)",
            ),
            &[
                &Role::Consumer.as_str(),
                &shard.stream.as_str(),
                &shard.owner.as_str(),
                &i32::from(shard.number),
                &i64::try_from(limit).unwrap_or(i64::MAX),
            ],
        )
        .await
        .map_err(while_doing("read what is parked of a shard"))?;
    let count = rows.first().map_or(0, |row| number(row, 5));
    let earliest = rows.iter().take(limit).map(|row| exception(row, 0));
    Ok((earliest.collect(), count))
}
