use rusqlite::{OptionalExtension, Row, named_params, params};

use millstream_core::acknowledgment::Exception;
use millstream_core::blob;
use millstream_core::clock::Timestamp;
use millstream_core::delivery::{Content, Delivery, Outcome, Reason};
use millstream_core::entry::{EntryId, Shard};
use millstream_core::error::Error;
use millstream_core::lease::{Feed, Role};
use millstream_core::name::{EventId, PartitionKey, TenantId};
use millstream_core::store::{DeadLetter, DeadLetterQuery};
use millstream_core::wire::SOURCE_DEFAULT;

use crate::batch::{KeyOf, Twin, tenant};
use crate::identifier::Prefix;
use crate::sqlite::database::while_doing;
use crate::sqlite::inbox::source;
use crate::sqlite::leases::{feed, number};
use crate::sqlite::subscribers::exception;

/// A delivery to be kept, with the reason.
pub(super) struct Parked<'a> {
    pub(super) delivery: &'a Delivery,
    pub(super) twin: Twin,
    /// What waits behind it, if anything does.
    pub(super) key: Option<KeyOf<'a>>,
    pub(super) outcome: Outcome,
    pub(super) reason: &'a Reason,
}

impl Parked<'_> {
    pub(super) fn insert(
        &self,
        tx: &rusqlite::Transaction<'_>,
        prefix: &Prefix,
        shard: i64,
        feed: &Feed,
        parked_at: Timestamp,
    ) -> Result<(), Error> {
        let delivery = self.delivery;
        let event_type = match &delivery.content {
            Content::Event { event, .. } => Some(event.event_type.as_str()),
            Content::Undecodable(part) => part.event_type.as_deref(),
        };
        let source = match feed {
            Feed::Owned(shard) => Some(shard.owner.as_str()),
            Feed::Shared(_) => Some(source(delivery).unwrap_or(SOURCE_DEFAULT)),
        };
        let tenant = tenant(delivery);
        let key = self.key.map(|(_, key)| key);
        // A blocked event was not tried.
        let attempts = i32::from(self.outcome != Outcome::Blocked);
        tx.prepare_cached(&prefix.sql(
            "INSERT INTO ~dead_letters
               (shard, generation, seq, twin, event_id, event_type, source_application,
                tenant_id, partition_key, outcome, reason, attempts, raw, parked_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        ))
        .and_then(|mut insert| {
            insert.execute(params![
                shard,
                delivery.entry.high.cast_signed(),
                delivery.entry.low.cast_signed(),
                self.twin.0,
                delivery.event_id().map(EventId::as_str),
                event_type,
                source,
                tenant.map(TenantId::as_str),
                key.map(PartitionKey::as_str),
                self.outcome.as_str(),
                self.reason.as_str(),
                attempts,
                blob::encode(&delivery.raw),
                parked_at.as_millis(),
            ])
        })
        .map(drop)
        .map_err(while_doing("park an event"))
    }
}

/// Gives a parked event that a later generation brings again the place and the fields of its new
/// entry, and its inbox row with it. It stays parked, and in its turn.
///
/// Receipts name an event by its place, and the publisher knows it by the new one alone.
pub(super) fn follow(
    tx: &rusqlite::Transaction<'_>,
    prefix: &Prefix,
    from: &Shard,
    shard: i64,
    delivery: &Delivery,
) -> Result<(), Error> {
    let failed = while_doing("follow a parked event");
    let Some(old) = place(tx, prefix, from, delivery).map_err(&failed)? else {
        return Ok(());
    };
    let new = (
        shard,
        delivery.entry.high.cast_signed(),
        delivery.entry.low.cast_signed(),
    );
    tx.prepare_cached(&prefix.sql(
        "UPDATE ~dead_letters SET shard = ?4, generation = ?5, seq = ?6, raw = ?7
         WHERE shard = ?1 AND generation = ?2 AND seq = ?3",
    ))
    .and_then(|mut update| {
        let raw = blob::encode(&delivery.raw);
        update.execute(params![old.0, old.1, old.2, new.0, new.1, new.2, raw])
    })
    .map_err(&failed)?;
    tx.prepare_cached(&prefix.sql(
        "UPDATE ~millstream_inbox SET shard = ?4, generation = ?5, seq = ?6
         WHERE shard = ?1 AND generation = ?2 AND seq = ?3",
    ))
    .and_then(|mut update| update.execute((old.0, old.1, old.2, new.0, new.1, new.2)))
    .map(drop)
    .map_err(&failed)
}

/// Where the event of a delivery is parked, in whichever shard of the stream.
fn place(
    tx: &rusqlite::Transaction<'_>,
    prefix: &Prefix,
    from: &Shard,
    delivery: &Delivery,
) -> rusqlite::Result<Option<(i64, i64, i64)>> {
    tx.prepare_cached(&prefix.sql(
        "SELECT d.shard, d.generation, d.seq
         FROM ~millstream_inbox i
         JOIN ~millstream_shards s ON s.id = i.shard
         JOIN ~dead_letters d
           ON d.shard = i.shard AND d.generation = i.generation AND d.seq = i.seq
         WHERE i.event_id = ?1 AND i.tenant_id IS ?2
           AND s.role = ?3 AND s.stream = ?4 AND s.source = ?5",
    ))?
    .query_row(
        (
            delivery.event_id().map(EventId::as_str),
            tenant(delivery).map(TenantId::as_str),
            Role::Consumer.as_str(),
            from.stream.as_str(),
            from.owner.as_str(),
        ),
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )
    .optional()
}

/// Whether anything is parked at all.
pub(super) fn any(tx: &rusqlite::Transaction<'_>, prefix: &Prefix) -> Result<bool, Error> {
    tx.prepare_cached(&prefix.sql("SELECT EXISTS (SELECT 1 FROM ~dead_letters)"))
        .and_then(|mut query| query.query_row([], |row| row.get(0)))
        .map_err(while_doing("look for parked events"))
}

/// Whether an event of the key is parked, so that later ones must wait.
pub(super) fn holds(
    tx: &rusqlite::Transaction<'_>,
    prefix: &Prefix,
    source: &str,
    tenant: &TenantId,
    key: &PartitionKey,
) -> Result<bool, Error> {
    tx.prepare_cached(&prefix.sql(
        "SELECT EXISTS (SELECT 1 FROM ~dead_letters
                        WHERE source_application = ?1 AND tenant_id = ?2 AND partition_key = ?3)",
    ))
    .and_then(|mut query| {
        query.query_row([source, tenant.as_str(), key.as_str()], |row| row.get(0))
    })
    .map_err(while_doing("look for parked events"))
}

/// Reads dead letters in the order of their numbers.
pub(super) fn list(
    db: &rusqlite::Connection,
    prefix: &Prefix,
    query: &DeadLetterQuery,
) -> Result<Vec<DeadLetter>, Error> {
    let failed = while_doing("read dead letters");
    let mut statement = db
        .prepare_cached(&prefix.sql(&format!(
            "SELECT {COLUMNS}
             FROM ~dead_letters d JOIN ~millstream_shards s ON s.id = d.shard
             WHERE d.id > :after AND (:number IS NULL OR d.id = :number)
             ORDER BY d.id LIMIT :limit",
        )))
        .map_err(&failed)?;
    let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
    let rows = statement
        .query_map(
            named_params! { ":after": query.after, ":number": query.number, ":limit": limit },
            letter,
        )
        .map_err(&failed)?;
    rows.collect::<Result<_, _>>().map_err(&failed)
}

/// What [`letter`] reads, of `d` and its shard `s`.
pub(super) const COLUMNS: &str =
    "s.stream, s.source, s.shard, d.id, d.generation, d.seq, d.event_id, d.event_type, d.tenant_id,
     d.partition_key, d.outcome, d.reason, d.attempts, d.parked_at, d.raw";

pub(super) fn letter(row: &Row<'_>) -> rusqlite::Result<DeadLetter> {
    let outcome: String = row.get(10)?;
    Ok(DeadLetter {
        feed: feed(row, 0)?,
        number: row.get(3)?,
        entry: EntryId::new(number(row, 4)?, number(row, 5)?),
        event_id: row.get(6)?,
        event_type: row.get(7)?,
        tenant: row.get(8)?,
        key: row.get(9)?,
        outcome: Outcome::parse(&outcome).unwrap_or(Outcome::Dead),
        reason: row.get(11)?,
        attempts: row.get(12)?,
        parked_at: Timestamp::from_millis(row.get(13)?),
        raw: blob::decode(&row.get::<_, Vec<u8>>(14)?.into()).unwrap_or_default(),
    })
}

/// Reads what is parked of an owned shard, the earliest of it in its order, and counts all of it.
pub(super) fn of_shard(
    db: &mut rusqlite::Connection,
    prefix: &Prefix,
    shard: &Shard,
    limit: usize,
) -> Result<(Vec<Exception>, u64), Error> {
    let failed = while_doing("read what is parked of a shard");
    // One state of the database, though two statements read it.
    let tx = db.transaction().map_err(&failed)?;
    let own = "d.shard = (SELECT id FROM ~millstream_shards
                          WHERE role = ?1 AND stream = ?2 AND source = ?3 AND shard = ?4)";
    let (role, stream) = (Role::Consumer.as_str(), shard.stream.as_str());
    let source = shard.owner.as_str();
    let count = tx
        .prepare_cached(&prefix.sql(&format!("SELECT count(*) FROM ~dead_letters d WHERE {own}")))
        .and_then(|mut query| {
            query.query_row((role, stream, source, shard.number), |row| number(row, 0))
        })
        .map_err(&failed)?;
    let mut query = tx
        .prepare_cached(&prefix.sql(&format!(
            "SELECT d.generation, d.seq, d.outcome, d.attempts, d.reason FROM ~dead_letters d
             WHERE {own} ORDER BY d.generation, d.seq LIMIT ?5"
        )))
        .map_err(&failed)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let earliest = query
        .query_map((role, stream, source, shard.number, limit), |row| {
            exception(row, 0)
        })
        .and_then(Iterator::collect)
        .map_err(&failed)?;
    Ok((earliest, count))
}
