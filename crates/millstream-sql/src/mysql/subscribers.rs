//! Who follows the streams, and how far they are.

use mysql_async::{Row, Value};

use millstream_core::acknowledgment::Exception;
use millstream_core::delivery::Outcome;
use millstream_core::entry::EntryId;
use millstream_core::error::Error;
use millstream_core::lease::Lease;
use millstream_core::name::{AppName, DatabaseId, StreamName};
use millstream_core::outbox::{Progress, Registered};

use crate::identifier::Prefix;
use crate::mysql::database::Database;
use crate::mysql::leases::{compare, position};
use crate::mysql::row::{checkpoint, entry_id, integer, name, number, text};
use crate::mysql::session::{Session, values};
use crate::tops::{check_shards, stream_of};

/// Reads all subscribers of a stream, by name, each with its shards in their order.
pub(super) async fn list(db: &Database, stream: &StreamName) -> Result<Vec<Registered>, Error> {
    let doing = "read subscribers";
    let mut session = db.session().await?;
    // One state of the database, though two statements read it.
    session
        .plain(doing, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        .await?;
    session.begin(doing).await?;
    let mut subscribers = Vec::new();
    progress(&mut session, db, stream, &mut subscribers).await?;
    exceptions(&mut session, db, stream, &mut subscribers).await?;
    session.commit(doing).await?;
    Ok(subscribers)
}

async fn progress(
    session: &mut Session,
    db: &Database,
    stream: &StreamName,
    subscribers: &mut Vec<Registered>,
) -> Result<(), Error> {
    let sql = db.sql(
        "SELECT subscriber, database_id, shard, base_generation, base_seq, settled_generation,
                settled_seq, settled_event_id, omitted
         FROM ~millstream_subscribers WHERE stream = ? ORDER BY subscriber, shard",
    );
    let rows = session.all("read subscribers", &sql, values![stream.as_str()]);
    for row in &rows.await? {
        let application = name(row, 0, AppName::new)?;
        let settled = checkpoint(row, 5);
        let progress = Progress {
            base: base(entry_id(row, 3), settled.at),
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
    Ok(())
}

/// What a subscriber follows now: of a generation that was begun since it registered all, and of
/// older ones nothing any more.
fn base(registered: EntryId, settled: EntryId) -> EntryId {
    match settled.high > registered.high.max(1) {
        true => EntryId::new(settled.high, 0),
        false => registered,
    }
}

async fn exceptions(
    session: &mut Session,
    db: &Database,
    stream: &StreamName,
    subscribers: &mut [Registered],
) -> Result<(), Error> {
    let sql = db.sql(
        "SELECT subscriber, shard, generation, seq, outcome, attempts, reason
         FROM ~millstream_exceptions WHERE stream = ?
         ORDER BY subscriber, shard, generation, seq",
    );
    let rows = session.all("read subscribers", &sql, values![stream.as_str()]);
    for row in &rows.await? {
        let application = name(row, 0, AppName::new)?;
        let shard = usize::try_from(integer(row, 1)).unwrap_or(usize::MAX);
        let progress = subscribers
            .iter_mut()
            .find(|subscriber| subscriber.application == application)
            .and_then(|subscriber| subscriber.shards.get_mut(shard));
        if let Some(progress) = progress {
            progress.exceptions.push(exception(row, 2));
        }
    }
    Ok(())
}

/// Reads an exception from five columns.
pub(super) fn exception(row: &Row, first: usize) -> Exception {
    let outcome = text(row, first + 2).and_then(|word| Outcome::parse(&word));
    Exception {
        at: entry_id(row, first),
        outcome: outcome.unwrap_or(Outcome::Dead),
        attempts: u32::try_from(integer(row, first + 3)).unwrap_or(u32::MAX),
        reason: text(row, first + 4).unwrap_or_default(),
    }
}

/// Registers a subscriber in the place of what was registered under its name.
pub(super) async fn subscribe(
    db: &Database,
    tops: &[Lease],
    subscriber: &Registered,
) -> Result<(), Error> {
    let doing = "register a subscriber";
    let stream = stream_of(tops)?;
    check_shards(tops, subscriber)?;
    let mut session = db.begin(doing).await?;
    compare(&mut session, &db.options.prefix, tops).await?;
    remove(
        &mut session,
        &db.options.prefix,
        stream,
        &subscriber.application,
    )
    .await?;
    let sql = db.sql(
        "INSERT INTO ~millstream_subscribers
           (stream, shard, subscriber, database_id, base_generation, base_seq,
            settled_generation, settled_seq, settled_event_id, omitted)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    );
    let rows = (0i64..).zip(&subscriber.shards).map(|(shard, progress)| {
        let mut row = values![
            stream.as_str(),
            shard,
            subscriber.application.as_str(),
            subscriber.database.as_str(),
            progress.base.high.cast_signed(),
            progress.base.low.cast_signed(),
        ];
        row.extend(position(&progress.settled));
        row.push(progress.omitted.cast_signed().into());
        row
    });
    session.batch(doing, &sql, rows.collect()).await?;
    for (shard, progress) in (0i64..).zip(&subscriber.shards) {
        let whose = (stream, &subscriber.application, shard);
        replace(
            &mut session,
            &db.options.prefix,
            whose,
            &progress.exceptions,
        )
        .await?;
    }
    session.commit(doing).await
}

/// Writes how far subscribers are; where each began stays as it was registered.
pub(super) async fn record_receipts(
    db: &Database,
    tops: &[Lease],
    changed: &[Registered],
) -> Result<(), Error> {
    let doing = "write receipts";
    let stream = stream_of(tops)?;
    changed
        .iter()
        .try_for_each(|subscriber| check_shards(tops, subscriber))?;
    let sql = db.sql(
        "UPDATE ~millstream_subscribers
         SET settled_generation = ?, settled_seq = ?, settled_event_id = ?, omitted = ?
         WHERE stream = ? AND shard = ? AND subscriber = ? AND database_id = ?",
    );
    let mut session = db.begin(doing).await?;
    compare(&mut session, &db.options.prefix, tops).await?;
    for subscriber in changed {
        for (shard, progress) in (0i64..).zip(&subscriber.shards) {
            let mut parameters = position(&progress.settled);
            parameters.extend(values![
                progress.omitted.cast_signed(),
                stream.as_str(),
                shard,
                subscriber.application.as_str(),
                subscriber.database.as_str(),
            ]);
            if session.run(doing, &sql, parameters).await? > 0 {
                let whose = (stream, &subscriber.application, shard);
                replace(
                    &mut session,
                    &db.options.prefix,
                    whose,
                    &progress.exceptions,
                )
                .await?;
            }
        }
    }
    session.commit(doing).await
}

/// Removes a subscriber, and says whether there was one.
pub(super) async fn unsubscribe(
    db: &Database,
    stream: &StreamName,
    application: &AppName,
) -> Result<bool, Error> {
    let doing = "remove a subscriber";
    let mut session = db.begin(doing).await?;
    let removed = remove(&mut session, &db.options.prefix, stream, application).await?;
    session.commit(doing).await?;
    Ok(removed)
}

async fn remove(
    session: &mut Session,
    prefix: &Prefix,
    stream: &StreamName,
    application: &AppName,
) -> Result<bool, Error> {
    let doing = "remove a subscriber";
    let key = || values![stream.as_str(), application.as_str()];
    let sql = prefix.sql("DELETE FROM ~millstream_exceptions WHERE stream = ? AND subscriber = ?");
    session.run(doing, &sql, key()).await?;
    let sql = prefix.sql("DELETE FROM ~millstream_subscribers WHERE stream = ? AND subscriber = ?");
    Ok(session.run(doing, &sql, key()).await? > 0)
}

/// Writes what a receipt lists of a shard, in the place of what an earlier one did.
async fn replace(
    session: &mut Session,
    prefix: &Prefix,
    (stream, subscriber, shard): (&StreamName, &AppName, i64),
    exceptions: &[Exception],
) -> Result<(), Error> {
    let doing = "write the exceptions of a receipt";
    let sql = prefix.sql(
        "DELETE FROM ~millstream_exceptions WHERE stream = ? AND subscriber = ? AND shard = ?",
    );
    let key = || values![stream.as_str(), subscriber.as_str(), shard];
    session.run(doing, &sql, key()).await?;
    let rows: Vec<Vec<Value>> = exceptions
        .iter()
        .map(|exception| {
            let mut row = key();
            row.extend(values![
                exception.at.high.cast_signed(),
                exception.at.low.cast_signed(),
                exception.outcome.as_str(),
                exception.attempts,
                exception.reason.as_str(),
            ]);
            row
        })
        .collect();
    let head = prefix.sql(
        "INSERT INTO ~millstream_exceptions
           (stream, subscriber, shard, generation, seq, outcome, attempts, reason)",
    );
    // A receipt is whatever its sender made it: one place may stand in it twice.
    let tail = "ON DUPLICATE KEY UPDATE outcome = VALUES(outcome), attempts = VALUES(attempts),
                  reason = VALUES(reason)";
    session.insert(doing, &head, tail, rows).await
}
