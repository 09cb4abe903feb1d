//! Who follows the streams, and how far they are.

use rusqlite::{CachedStatement, Row, Transaction, params};

use millstream_core::acknowledgment::Exception;
use millstream_core::delivery::Outcome;
use millstream_core::entry::EntryId;
use millstream_core::error::Error;
use millstream_core::lease::Lease;
use millstream_core::name::{AppName, DatabaseId, StreamName};
use millstream_core::outbox::{Progress, Registered};

use crate::identifier::Prefix;
use crate::sqlite::database::{Options, while_doing};
use crate::sqlite::leases::{checkpoint, compare, immediate, name, number};
use crate::tops::{check_shards, stream_of};

/// Reads all subscribers of a stream, by name, each with its shards in their order.
pub(super) fn list(
    db: &mut rusqlite::Connection,
    options: &Options,
    stream: &StreamName,
) -> Result<Vec<Registered>, Error> {
    let failed = while_doing("read subscribers");
    // One state of the database, though two statements read it.
    let tx = db.transaction().map_err(&failed)?;
    let mut subscribers = Vec::new();
    progress(&tx, &options.prefix, stream, &mut subscribers).map_err(&failed)?;
    exceptions(&tx, &options.prefix, stream, &mut subscribers).map_err(&failed)?;
    Ok(subscribers)
}

fn progress(
    tx: &Transaction<'_>,
    prefix: &Prefix,
    stream: &StreamName,
    subscribers: &mut Vec<Registered>,
) -> rusqlite::Result<()> {
    let mut query = tx.prepare_cached(&prefix.sql(
        "SELECT subscriber, database_id, shard, base_generation, base_seq, settled_generation,
                settled_seq, settled_event_id, omitted
         FROM ~millstream_subscribers WHERE stream = ?1 ORDER BY subscriber, shard",
    ))?;
    let mut rows = query.query([stream.as_str()])?;
    while let Some(row) = rows.next()? {
        let application = name(row, 0, AppName::new)?;
        let settled = checkpoint(row, 5)?;
        let progress = Progress {
            base: base(EntryId::new(number(row, 3)?, number(row, 4)?), settled.at),
            settled,
            exceptions: Vec::new(),
            omitted: number(row, 8)?,
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

fn exceptions(
    tx: &Transaction<'_>,
    prefix: &Prefix,
    stream: &StreamName,
    subscribers: &mut [Registered],
) -> rusqlite::Result<()> {
    let mut query = tx.prepare_cached(&prefix.sql(
        "SELECT subscriber, shard, generation, seq, outcome, attempts, reason
         FROM ~millstream_exceptions WHERE stream = ?1
         ORDER BY subscriber, shard, generation, seq",
    ))?;
    let mut rows = query.query([stream.as_str()])?;
    while let Some(row) = rows.next()? {
        let application = name(row, 0, AppName::new)?;
        let shard: u16 = row.get(1)?;
        let progress = subscribers
            .iter_mut()
            .find(|subscriber| subscriber.application == application)
            .and_then(|subscriber| subscriber.shards.get_mut(usize::from(shard)));
        if let Some(progress) = progress {
            progress.exceptions.push(exception(row, 2)?);
        }
    }
    Ok(())
}

/// Reads an exception from five columns.
pub(super) fn exception(row: &Row<'_>, first: usize) -> rusqlite::Result<Exception> {
    let outcome: String = row.get(first + 2)?;
    Ok(Exception {
        at: EntryId::new(number(row, first)?, number(row, first + 1)?),
        outcome: Outcome::parse(&outcome).unwrap_or(Outcome::Dead),
        attempts: row.get(first + 3)?,
        reason: row.get(first + 4)?,
    })
}

/// Registers a subscriber in the place of what was registered under its name.
pub(super) fn subscribe(
    db: &mut rusqlite::Connection,
    options: &Options,
    tops: &[Lease],
    subscriber: &Registered,
) -> Result<(), Error> {
    let failed = while_doing("register a subscriber");
    let prefix = &options.prefix;
    let stream = stream_of(tops)?;
    check_shards(tops, subscriber)?;
    let tx = immediate(db, &failed)?;
    compare(&tx, prefix, tops)?;
    remove(&tx, prefix, stream, &subscriber.application).map_err(&failed)?;
    {
        let mut insert = tx
            .prepare_cached(&prefix.sql(
                "INSERT INTO ~millstream_subscribers
                   (stream, shard, subscriber, database_id, base_generation, base_seq,
                    settled_generation, settled_seq, settled_event_id, omitted)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            ))
            .map_err(&failed)?;
        let mut listed = Exceptions::prepare(&tx, prefix).map_err(&failed)?;
        for (shard, progress) in (0i64..).zip(&subscriber.shards) {
            let settled = &progress.settled;
            insert
                .execute(params![
                    stream.as_str(),
                    shard,
                    subscriber.application.as_str(),
                    subscriber.database.as_str(),
                    progress.base.high.cast_signed(),
                    progress.base.low.cast_signed(),
                    settled.at.high.cast_signed(),
                    settled.at.low.cast_signed(),
                    settled.event_id.as_ref().map(|id| id.as_str()),
                    progress.omitted.cast_signed(),
                ])
                .map_err(&failed)?;
            listed
                .replace(stream, &subscriber.application, shard, &progress.exceptions)
                .map_err(&failed)?;
        }
    }
    tx.commit().map_err(&failed)
}

/// Writes how far subscribers are; where each began stays as it was registered.
pub(super) fn record_receipts(
    db: &mut rusqlite::Connection,
    options: &Options,
    tops: &[Lease],
    changed: &[Registered],
) -> Result<(), Error> {
    let failed = while_doing("write receipts");
    let prefix = &options.prefix;
    let stream = stream_of(tops)?;
    changed
        .iter()
        .try_for_each(|subscriber| check_shards(tops, subscriber))?;
    let tx = immediate(db, &failed)?;
    compare(&tx, prefix, tops)?;
    {
        let mut update = tx
            .prepare_cached(&prefix.sql(
                "UPDATE ~millstream_subscribers
                 SET settled_generation = ?5, settled_seq = ?6, settled_event_id = ?7, omitted = ?8
                 WHERE stream = ?1 AND shard = ?2 AND subscriber = ?3 AND database_id = ?4",
            ))
            .map_err(&failed)?;
        let mut listed = Exceptions::prepare(&tx, prefix).map_err(&failed)?;
        for subscriber in changed {
            for (shard, progress) in (0i64..).zip(&subscriber.shards) {
                let settled = &progress.settled;
                let updated = update
                    .execute(params![
                        stream.as_str(),
                        shard,
                        subscriber.application.as_str(),
                        subscriber.database.as_str(),
                        settled.at.high.cast_signed(),
                        settled.at.low.cast_signed(),
                        settled.event_id.as_ref().map(|id| id.as_str()),
                        progress.omitted.cast_signed(),
                    ])
                    .map_err(&failed)?;
                if updated > 0 {
                    listed
                        .replace(stream, &subscriber.application, shard, &progress.exceptions)
                        .map_err(&failed)?;
                }
            }
        }
    }
    tx.commit().map_err(&failed)
}

/// Removes a subscriber, and says whether there was one.
pub(super) fn unsubscribe(
    db: &mut rusqlite::Connection,
    options: &Options,
    stream: &StreamName,
    application: &AppName,
) -> Result<bool, Error> {
    let failed = while_doing("remove a subscriber");
    let tx = immediate(db, &failed)?;
    let removed = remove(&tx, &options.prefix, stream, application).map_err(&failed)?;
    tx.commit().map_err(&failed)?;
    Ok(removed)
}

fn remove(
    tx: &Transaction<'_>,
    prefix: &Prefix,
    stream: &StreamName,
    application: &AppName,
) -> rusqlite::Result<bool> {
    let key = [stream.as_str(), application.as_str()];
    let sql = "DELETE FROM ~millstream_exceptions WHERE stream = ?1 AND subscriber = ?2";
    tx.prepare_cached(&prefix.sql(sql))?.execute(key)?;
    let sql = "DELETE FROM ~millstream_subscribers WHERE stream = ?1 AND subscriber = ?2";
    Ok(tx.prepare_cached(&prefix.sql(sql))?.execute(key)? > 0)
}

/// The statements that write what a receipt lists.
struct Exceptions<'tx> {
    delete: CachedStatement<'tx>,
    insert: CachedStatement<'tx>,
}

impl<'tx> Exceptions<'tx> {
    fn prepare(tx: &'tx Transaction<'_>, prefix: &Prefix) -> rusqlite::Result<Self> {
        Ok(Self {
            delete: tx.prepare_cached(&prefix.sql(
                "DELETE FROM ~millstream_exceptions
                 WHERE stream = ?1 AND subscriber = ?2 AND shard = ?3",
            ))?,
            // A receipt is whatever its sender made it: one place may stand in it twice.
            insert: tx.prepare_cached(&prefix.sql(
                "INSERT OR REPLACE INTO ~millstream_exceptions
                   (stream, subscriber, shard, generation, seq, outcome, attempts, reason)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            ))?,
        })
    }

    fn replace(
        &mut self,
        stream: &StreamName,
        subscriber: &AppName,
        shard: i64,
        exceptions: &[Exception],
    ) -> rusqlite::Result<()> {
        let key = (stream.as_str(), subscriber.as_str());
        self.delete.execute((key.0, key.1, shard))?;
        for exception in exceptions {
            self.insert.execute(params![
                key.0,
                key.1,
                shard,
                exception.at.high.cast_signed(),
                exception.at.low.cast_signed(),
                exception.outcome.as_str(),
                exception.attempts,
                exception.reason,
            ])?;
        }
        Ok(())
    }
}
