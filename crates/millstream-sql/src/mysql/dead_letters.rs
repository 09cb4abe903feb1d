use std::collections::{HashMap, HashSet};

use mysql_async::{Row, Value};

use millstream_core::acknowledgment::Exception;
use millstream_core::blob;
use millstream_core::clock::Timestamp;
use millstream_core::delivery::{Content, Delivery, Outcome, Reason};
use millstream_core::entry::Shard;
use millstream_core::error::Error;
use millstream_core::lease::{Feed, Role};
use millstream_core::name::{EventId, PartitionKey, TenantId};
use millstream_core::store::{DeadLetter, DeadLetterQuery};
use millstream_core::wire::SOURCE_DEFAULT;

use crate::batch::{Item, Key, KeyOf, tenant};
use crate::identifier::Prefix;
use crate::mysql::database::Database;
use crate::mysql::dedupe::texts;
use crate::mysql::inbox::source;
use crate::mysql::leases::place;
use crate::mysql::row::{bytes, entry_id, feed, integer, number, text};
use crate::mysql::session::{Session, values};
use crate::mysql::subscribers::exception;

/// Deliveries to be kept, of one feed.
pub(super) struct Insert<'a> {
    shard: i64,
    feed: &'a Feed,
    parked_at: Timestamp,
    rows: Vec<Vec<Value>>,
}

impl<'a> Insert<'a> {
    pub(super) fn new(shard: i64, feed: &'a Feed, parked_at: Timestamp) -> Self {
        Self {
            shard,
            feed,
            parked_at,
            rows: Vec::new(),
        }
    }

    pub(super) fn push(
        &mut self,
        item: &Item<'_>,
        // What waits behind it, if anything does.
        key: Option<KeyOf<'_>>,
        outcome: Outcome,
        reason: &Reason,
    ) {
        let delivery = item.delivery;
        let event_type = match &delivery.content {
            Content::Event { event, .. } => Some(event.event_type.as_str()),
            Content::Undecodable(part) => part.event_type.as_deref(),
        };
        let source = match self.feed {
            Feed::Owned(shard) => shard.owner.as_str(),
            Feed::Shared(_) => source(delivery).unwrap_or(SOURCE_DEFAULT),
        };
        self.rows.push(values![
            self.shard,
            delivery.entry.high.cast_signed(),
            delivery.entry.low.cast_signed(),
            item.found.twin().0,
            delivery.event_id().map(EventId::as_str),
            event_type,
            source,
            tenant(delivery).map(TenantId::as_str),
            key.map(|(_, key)| key.as_str()),
            outcome.as_str(),
            reason.as_str(),
            // A blocked event was not tried.
            i64::from(outcome != Outcome::Blocked),
            blob::encode(&delivery.raw),
            self.parked_at.as_millis(),
        ]);
    }

    pub(super) async fn write(self, session: &mut Session, prefix: &Prefix) -> Result<(), Error> {
        let head = prefix.sql(
            "INSERT INTO ~dead_letters
               (shard, generation, seq, twin, event_id, event_type, source_application, tenant_id,
                partition_key, outcome, reason, attempts, raw, parked_at)",
        );
        session.insert("park events", &head, "", self.rows).await
    }
}

/// Gives parked events that a later generation brings again the place and the fields of their new
/// entries, and their inbox rows with them. They stay parked, and in their turn.
///
/// Receipts name an event by its place, and the publisher knows it by the new one alone.
pub(super) async fn follow(
    session: &mut Session,
    prefix: &Prefix,
    from: &Shard,
    shard: i64,
    deliveries: &[&Delivery],
) -> Result<(), Error> {
    let doing = "follow parked events";
    let ids = deliveries.iter().filter_map(|delivery| delivery.event_id());
    let mut places: HashMap<(String, Option<String>), (i64, i64, i64)> = HashMap::new();
    for (marks, mut parameters) in texts(ids.map(EventId::as_str)) {
        let sql = prefix.sql(&format!(
            "SELECT i.event_id, i.tenant_id, d.shard, d.generation, d.seq
             FROM ~millstream_inbox i
             JOIN ~millstream_shards s ON s.id = i.shard
             JOIN ~dead_letters d
               ON d.shard = i.shard AND d.generation = i.generation AND d.seq = i.seq
             WHERE i.event_id IN ({marks}) AND s.role = ? AND s.stream = ? AND s.source = ?"
        ));
        parameters.extend(values![
            Role::Consumer.as_str(),
            from.stream.as_str(),
            from.owner.as_str(),
        ]);
        for row in session.all(doing, &sql, parameters).await? {
            let place = (integer(&row, 2), integer(&row, 3), integer(&row, 4));
            let id = text(&row, 0).unwrap_or_default();
            places.insert((id, text(&row, 1)), place);
        }
    }

    let letters = prefix.sql(
        "UPDATE ~dead_letters SET shard = ?, generation = ?, seq = ?, raw = ?
         WHERE shard = ? AND generation = ? AND seq = ?",
    );
    let inbox = prefix.sql(
        "UPDATE ~millstream_inbox SET shard = ?, generation = ?, seq = ?
         WHERE shard = ? AND generation = ? AND seq = ?",
    );
    for delivery in deliveries {
        let id = delivery.event_id().map(|id| id.as_str().to_owned());
        let tenant = tenant(delivery).map(|tenant| tenant.as_str().to_owned());
        // The same event once more in this batch has its place in the one before.
        let entry = delivery.entry;
        let new = (shard, entry.high.cast_signed(), entry.low.cast_signed());
        let Some(old) = id.and_then(|id| places.get_mut(&(id, tenant))) else {
            continue;
        };
        let raw = blob::encode(&delivery.raw);
        let parameters = values![new.0, new.1, new.2, raw, old.0, old.1, old.2];
        session.run(doing, &letters, parameters).await?;
        let parameters = values![new.0, new.1, new.2, old.0, old.1, old.2];
        session.run(doing, &inbox, parameters).await?;
        *old = new;
    }
    Ok(())
}

/// Whether anything is parked at all.
pub(super) async fn any(session: &mut Session, prefix: &Prefix) -> Result<bool, Error> {
    let sql = prefix.sql("SELECT EXISTS (SELECT 1 FROM ~dead_letters)");
    let row = session
        .first("look for parked events", &sql, vec![])
        .await?;
    Ok(row.is_some_and(|row| integer(&row, 0) != 0))
}

/// Those of the keys of which an event is parked, so that later ones must wait.
pub(super) async fn held<'a>(
    session: &mut Session,
    prefix: &Prefix,
    keys: impl Iterator<Item = &'a Key>,
) -> Result<HashSet<Key>, Error> {
    let keys: HashSet<&Key> = keys.collect();
    let mut held = HashSet::new();
    for (marks, parameters) in texts(keys.iter().map(|key| key.2.as_str())) {
        let sql = prefix.sql(&format!(
            "SELECT DISTINCT source_application, tenant_id, partition_key FROM ~dead_letters
             WHERE partition_key IN ({marks})"
        ));
        for row in session
            .all("look for parked events", &sql, parameters)
            .await?
        {
            let tenant = TenantId::new(text(&row, 1).unwrap_or_default());
            let key = PartitionKey::new(text(&row, 2).unwrap_or_default());
            if let (Ok(tenant), Ok(key)) = (tenant, key) {
                let source = text(&row, 0).unwrap_or_default();
                held.insert((source.into_boxed_str(), tenant, key));
            }
        }
    }
    held.retain(|key| keys.contains(key));
    Ok(held)
}

/// Reads dead letters in the order of their numbers.
pub(super) async fn list(db: &Database, query: &DeadLetterQuery) -> Result<Vec<DeadLetter>, Error> {
    let sql = db.sql(&format!(
        "SELECT {COLUMNS}
         FROM ~dead_letters d JOIN ~millstream_shards s ON s.id = d.shard
         WHERE d.id > ? AND (? IS NULL OR d.id = ?)
         ORDER BY d.id LIMIT ?",
    ));
    let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
    let parameters = values![query.after, query.number, query.number, limit];
    let mut session = db.session().await?;
    let rows = session.all("read dead letters", &sql, parameters).await?;
    session.give_back();
    rows.iter().map(letter).collect()
}

/// What [`letter`] reads, of `d` and its shard `s`.
pub(super) const COLUMNS: &str =
    "s.stream, s.source, s.shard, d.id, d.generation, d.seq, d.event_id, d.event_type, d.tenant_id,
     d.partition_key, d.outcome, d.reason, d.attempts, d.parked_at, d.raw";

pub(super) fn letter(row: &Row) -> Result<DeadLetter, Error> {
    let outcome = text(row, 10).and_then(|word| Outcome::parse(&word));
    Ok(DeadLetter {
        feed: feed(row, 0)?,
        number: integer(row, 3),
        entry: entry_id(row, 4),
        event_id: text(row, 6),
        event_type: text(row, 7),
        tenant: text(row, 8),
        key: text(row, 9),
        outcome: outcome.unwrap_or(Outcome::Dead),
        reason: text(row, 11).unwrap_or_default(),
        attempts: u32::try_from(integer(row, 12)).unwrap_or(u32::MAX),
        parked_at: Timestamp::from_millis(integer(row, 13)),
        raw: blob::decode(&bytes(row, 14)).unwrap_or_default(),
    })
}

/// Reads what is parked of an owned shard, the earliest of it in its order, and counts all of it.
pub(super) async fn of_shard(
    db: &Database,
    shard: &Shard,
    limit: usize,
) -> Result<(Vec<Exception>, u64), Error> {
    let doing = "read what is parked of a shard";
    let own = "d.shard = (SELECT id FROM ~millstream_shards
                          WHERE role = ? AND stream = ? AND source = ? AND shard = ?)";
    let feed = Feed::Owned(shard.clone());
    let mut session = db.session().await?;
    // One state of the database, though two statements read it.
    session
        .plain(doing, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        .await?;
    session.begin(doing).await?;
    let sql = db.sql(&format!("SELECT count(*) FROM ~dead_letters d WHERE {own}"));
    let parameters = place(Role::Consumer, &feed);
    let count = session.first(doing, &sql, parameters).await?;
    let sql = db.sql(&format!(
        "SELECT d.generation, d.seq, d.outcome, d.attempts, d.reason FROM ~dead_letters d
         WHERE {own} ORDER BY d.generation, d.seq LIMIT ?"
    ));
    let mut parameters = place(Role::Consumer, &feed);
    parameters.push(i64::try_from(limit).unwrap_or(i64::MAX).into());
    let rows = session.all(doing, &sql, parameters).await?;
    session.commit(doing).await?;
    let earliest = rows.iter().map(|row| exception(row, 0)).collect();
    Ok((earliest, count.map_or(0, |row| number(&row, 0))))
}
