use std::sync::Arc;

use rusqlite::{Connection, TransactionBehavior};

use millstream_core::entry::{Entry, EntryId, Shard};
use millstream_core::error::{Error, ErrorKind};
use millstream_core::log::Appended;

use super::call::{Fault, call};
use super::connect::Transport;
use super::fields;
use super::id::Columns;
use super::key::Key;
use super::page::row_count;
use super::wake::Mark;

pub(super) async fn append(
    transport: &Transport,
    shard: &Shard,
    last: EntryId,
    entries: &[Entry],
) -> Result<Appended, Error> {
    let key = Key::owned(shard);
    let rows = Rows::encode(&key, last, entries)?;
    let wakes = Arc::clone(&transport.wakes);
    call(&transport.durable, "append to", key.clone(), move |db| {
        let (appended, mark) = compare_and_append(db, &key, last, &rows)?;
        // Here and not after the await: the caller may be gone, the entries are in the stream.
        if let Some(mark) = mark {
            wakes.wake(key.as_str(), mark);
        }
        Ok(appended)
    })
    .await
}

fn compare_and_append(
    db: &mut Connection,
    key: &Key,
    last: EntryId,
    rows: &Rows,
) -> Result<(Appended, Option<Mark>), Fault> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if let Some(mismatch) = compare(&transaction, key, last)? {
        return Ok((mismatch, None));
    }
    let Some(top) = rows.top() else {
        return Ok((Appended::Added, None));
    };
    let stream = key.find_or_make(&transaction)?;
    rows.insert(&transaction, stream.id)?;
    transaction
        .prepare_cached(
            "UPDATE streams SET high = ?2, low = ?3, added = added + ?4, length = length + ?4
             WHERE id = ?1",
        )?
        .execute((stream.id, top.high, top.low, rows.count()))?;
    transaction.commit()?;
    let mark = Mark {
        last: top.id(),
        replaced: stream.replaced,
    };
    Ok((Appended::Added, Some(mark)))
}

/// A mismatch if the last id is another.
pub(super) fn compare(
    db: &Connection,
    key: &Key,
    last: EntryId,
) -> rusqlite::Result<Option<Appended>> {
    let found = key
        .find(db)?
        .map_or(EntryId::ZERO, |stream| stream.last.id());
    Ok((found != last).then_some(Appended::Mismatch { last: found }))
}

/// Entries in the form of the table.
pub(super) struct Rows(Vec<(Columns, Vec<u8>)>);

impl Rows {
    /// Checks that ids rise, and that each entry can be stored.
    pub(super) fn encode(key: &Key, last: EntryId, entries: &[Entry]) -> Result<Self, Error> {
        let mut below = last;
        let rows = entries.iter().map(|entry| {
            if entry.id <= below {
                let text = format!("cannot append {} to {key} after {below}", entry.id);
                return Err(Error::new(ErrorKind::Invalid, text));
            }
            below = entry.id;
            Ok((
                Columns::exact(entry.id)?,
                fields::encode(key, &entry.fields)?,
            ))
        });
        Ok(Self(rows.collect::<Result<_, _>>()?))
    }

    pub(super) fn count(&self) -> i64 {
        row_count(self.0.len())
    }

    /// The last id.
    pub(super) fn top(&self) -> Option<Columns> {
        self.0.last().map(|(id, _)| *id)
    }

    pub(super) fn insert(&self, db: &Connection, stream_id: i64) -> rusqlite::Result<()> {
        let mut insert = db.prepare_cached("INSERT INTO entries VALUES (?1, ?2, ?3, ?4)")?;
        for (id, fields) in &self.0 {
            insert.execute((stream_id, id.high, id.low, fields))?;
        }
        Ok(())
    }
}
