//! Who follows the streams, and how far they are.

use std::collections::BTreeMap;

use deadpool_postgres::Transaction;
use tokio_postgres::{IsolationLevel, Row};

use millstream_core::acknowledgment::Exception;
use millstream_core::delivery::Outcome;
use millstream_core::entry::EntryId;
use millstream_core::error::Error;
use millstream_core::lease::Lease;
use millstream_core::name::{AppName, DatabaseId, StreamName};
use millstream_core::outbox::{Progress, Registered};

use crate::postgres::database::{Database, while_doing};
use crate::postgres::inbox::storable;
use crate::postgres::leases::{checkpoint, compare, name, number};
use crate::tops::{check_shards, stream_of};

/// Reads all subscribers of a stream, by name, each with its shards in their order.
pub(super) async fn list(db: &Database, stream: &StreamName) -> Result<Vec<Registered>, Error> {
    const DOING: &str = "read subscribers";
    let failed = while_doing(DOING);
    let mut connection = db.connection(DOING).await?;
    // One state of the database, though two statements read it.
    let tx = connection
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await
        .map_err(failed)?;
    let rows = tx
        .query(
            &db.sql(
                "SELECT subscriber, database_id, shard, base_generation, base_seq,
                        settled_generation, settled_seq, settled_event_id, omitted
                 FROM ~millstream_subscribers WHERE stream = $1 ORDER BY subscriber, shard",
            ),
            &[&stream.as_str()],
        )
        .await
        .map_err(failed)?;
    let mut subscribers: Vec<Registered> = Vec::new();
    for row in &rows {
        let application = name(row, 0, AppName::new)?;
        let settled = checkpoint(row, 5);
        let progress = Progress {
            base: base(EntryId::new(number(row, 3), number(row, 4)), settled.at),
            settled,
            exceptions: Vec::new(),
            omitted: number(row, 8),
        };
        match subscribers.last_mut() {
            Some(last) if last.application == application => last.shards.push(progress),
            _ => subscribers.push(Registered {
                application,
                database: name(row, 1, DatabaseId::new)?,
                shards: vec![progress],
            }),
        }
    }

    let rows = tx
        .query(
            &db.sql(
                "SELECT subscriber, shard, generation, seq, outcome, attempts, reason
                 FROM ~millstream_exceptions WHERE stream = $1
                 ORDER BY subscriber, shard, generation, seq",
            ),
            &[&stream.as_str()],
        )
        .await
        .map_err(failed)?;
    for row in &rows {
        let application: &str = row.get(0);
        let progress = subscribers
            .iter_mut()
            .find(|subscriber| subscriber.application.as_str() == application)
            .and_then(|subscriber| {
                let shard = usize::try_from(row.get::<_, i32>(1)).ok()?;
                subscriber.shards.get_mut(shard)
            });
        if let Some(progress) = progress {
            progress.exceptions.push(exception(row, 2));
        }
    }
    Ok(subscribers)
}

/// What a subscriber follows now: of a generation that was begun since it registered all, and of
/// older ones nothing any more.
fn base(registered: EntryId, settled: EntryId) -> EntryId {
    match settled.high > registered.high.max(1) {
        true => EntryId::new(settled.high, 0),
        false => registered,
    }
}

/// Reads an exception from five columns.
pub(super) fn exception(row: &Row, first: usize) -> Exception {
    Exception {
        at: EntryId::new(number(row, first), number(row, first + 1)),
        outcome: Outcome::parse(row.get(first + 2)).unwrap_or(Outcome::Dead),
        attempts: u32::try_from(row.get::<_, i64>(first + 3)).unwrap_or(u32::MAX),
        reason: row.get(first + 4),
    }
}

/// Registers a subscriber in the place of what was registered under its name.
pub(super) async fn subscribe(
    db: &Database,
    tops: &[Lease],
    subscriber: &Registered,
) -> Result<(), Error> {
    const DOING: &str = "register a subscriber";
    let failed = while_doing(DOING);
    let stream = stream_of(tops)?;
    check_shards(tops, subscriber)?;
    let mut connection = db.connection(DOING).await?;
    let tx = connection.transaction().await.map_err(failed)?;
    compare(&tx, &db.options.prefix, tops).await?;
    remove(&tx, db, stream, &subscriber.application)
        .await
        .map_err(failed)?;
    let insert = tx
        .prepare_cached(&db.sql(
            "INSERT INTO ~millstream_subscribers
               (stream, shard, subscriber, database_id, base_generation, base_seq,
                settled_generation, settled_seq, settled_event_id, omitted)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        ))
        .await
        .map_err(failed)?;
    for (shard, progress) in (0i32..).zip(&subscriber.shards) {
        let settled = &progress.settled;
        tx.execute(
            &insert,
            &[
                &stream.as_str(),
                &shard,
                &subscriber.application.as_str(),
                &subscriber.database.as_str(),
                &progress.base.high.cast_signed(),
                &progress.base.low.cast_signed(),
                &settled.at.high.cast_signed(),
                &settled.at.low.cast_signed(),
                &settled.event_id.as_ref().map(|id| id.as_str()),
                &progress.omitted.cast_signed(),
            ],
        )
        .await
        .map_err(failed)?;
        replace_exceptions(&tx, db, stream, subscriber, shard, progress)
            .await
            .map_err(failed)?;
    }
    tx.commit().await.map_err(failed)
}

/// Writes how far subscribers are; where each began stays as it was registered.
pub(super) async fn record_receipts(
    db: &Database,
    tops: &[Lease],
    changed: &[Registered],
) -> Result<(), Error> {
    const DOING: &str = "write receipts";
    let failed = while_doing(DOING);
    let stream = stream_of(tops)?;
    changed
        .iter()
        .try_for_each(|subscriber| check_shards(tops, subscriber))?;
    let mut connection = db.connection(DOING).await?;
    let tx = connection.transaction().await.map_err(failed)?;
    compare(&tx, &db.options.prefix, tops).await?;
    let update = tx
        .prepare_cached(&db.sql(
            "UPDATE ~millstream_subscribers
             SET settled_generation = $5, settled_seq = $6, settled_event_id = $7, omitted = $8
             WHERE stream = $1 AND shard = $2 AND subscriber = $3 AND database_id = $4",
        ))
        .await
        .map_err(failed)?;
    for subscriber in changed {
        for (shard, progress) in (0i32..).zip(&subscriber.shards) {
            let settled = &progress.settled;
            let updated = tx
                .execute(
                    &update,
                    &[
                        &stream.as_str(),
                        &shard,
                        &subscriber.application.as_str(),
                        &subscriber.database.as_str(),
                        &settled.at.high.cast_signed(),
                        &settled.at.low.cast_signed(),
                        &settled.event_id.as_ref().map(|id| id.as_str()),
                        &progress.omitted.cast_signed(),
                    ],
                )
                .await
                .map_err(failed)?;
            if updated > 0 {
                replace_exceptions(&tx, db, stream, subscriber, shard, progress)
                    .await
                    .map_err(failed)?;
            }
        }
    }
    tx.commit().await.map_err(failed)
}

/// Removes a subscriber, and says whether there was one.
pub(super) async fn unsubscribe(
    db: &Database,
    stream: &StreamName,
    application: &AppName,
) -> Result<bool, Error> {
    const DOING: &str = "remove a subscriber";
    let failed = while_doing(DOING);
    let mut connection = db.connection(DOING).await?;
    let tx = connection.transaction().await.map_err(failed)?;
    let removed = remove(&tx, db, stream, application).await.map_err(failed)?;
    tx.commit().await.map_err(failed)?;
    Ok(removed)
}

async fn remove(
    tx: &Transaction<'_>,
    db: &Database,
    stream: &StreamName,
    application: &AppName,
) -> Result<bool, tokio_postgres::Error> {
    let (stream, application) = (stream.as_str(), application.as_str());
    let sql = "DELETE FROM ~millstream_exceptions WHERE stream = $1 AND subscriber = $2";
    tx.execute(&db.sql(sql), &[&stream, &application]).await?;
    let sql = "DELETE FROM ~millstream_subscribers WHERE stream = $1 AND subscriber = $2";
    let removed = tx.execute(&db.sql(sql), &[&stream, &application]).await?;
    Ok(removed > 0)
}

/// Writes what a receipt lists.
async fn replace_exceptions(
    tx: &Transaction<'_>,
    db: &Database,
    stream: &StreamName,
    subscriber: &Registered,
    shard: i32,
    progress: &Progress,
) -> Result<(), tokio_postgres::Error> {
    let (stream, application) = (stream.as_str(), subscriber.application.as_str());
    let delete = tx
        .prepare_cached(&db.sql(
            "DELETE FROM ~millstream_exceptions
             WHERE stream = $1 AND subscriber = $2 AND shard = $3",
        ))
        .await?;
    tx.execute(&delete, &[&stream, &application, &shard])
        .await?;
    // A receipt is whatever its sender made it: one place may stand in it twice. The last one counts.
    let exceptions: BTreeMap<EntryId, &Exception> =
        progress.exceptions.iter().map(|e| (e.at, e)).collect();
    if exceptions.is_empty() {
        return Ok(());
    }
    let insert = tx
        .prepare_cached(&db.sql(
            "INSERT INTO ~millstream_exceptions
               (stream, subscriber, shard, generation, seq, outcome, attempts, reason)
             SELECT $1, $2, $3, e.generation, e.seq, e.outcome, e.attempts, e.reason
             FROM unnest($4::bigint[], $5::bigint[], $6::text[], $7::bigint[], $8::text[])
               AS e (generation, seq, outcome, attempts, reason)",
        ))
        .await?;
    let each = || exceptions.values();
    let generations: Vec<i64> = each().map(|e| e.at.high.cast_signed()).collect();
    let seqs: Vec<i64> = each().map(|e| e.at.low.cast_signed()).collect();
    let outcomes: Vec<&str> = each().map(|e| e.outcome.as_str()).collect();
    let attempts: Vec<i64> = each().map(|e| i64::from(e.attempts)).collect();
    let reasons: Vec<_> = each().map(|e| storable(&e.reason)).collect();
    tx.execute(
        &insert,
        &[
            &stream,
            &application,
            &shard,
            &generations,
            &seqs,
            &outcomes,
            &attempts,
            &reasons,
        ],
    )
    .await
    .map(drop)
}
