use std::sync::Arc;

use rusqlite::TransactionBehavior;

use millstream_core::blob;
use millstream_core::entry::{Entry, EntryId, Shard};
use millstream_core::error::{Error, ErrorKind};
use millstream_core::log::Appended;

use super::call::{Fault, call};
use super::connect::Transport;
use super::id::Columns;
use super::key::Key;
use super::page::row_count;

pub(super) async fn append(
    transport: &Transport,
    shard: &Shard,
    last: EntryId,
    entries: &[Entry],
) -> Result<Appended, Error> {
    let key = Key::owned(shard);
    let rows = encode(&key, last, entries)?;
    let wakes = Arc::clone(&transport.wakes);
    call(&transport.durable, "append to", key.clone(), move |db| {
        let appended = compare_and_append(db, &key, last, &rows)?;
        // Here and not after the await: the caller may be gone, the entries are in the stream.
        if let (Appended::Added, Some((top, _))) = (appended, rows.last()) {
            wakes.wake(key.as_str(), top.id());
        }
        Ok(appended)
    })
    .await
}

/// Checks that ids rise, and puts the entries into the form of the table.
fn encode(key: &Key, last: EntryId, entries: &[Entry]) -> Result<Vec<(Columns, Vec<u8>)>, Error> {
    let mut below = last;
    entries
        .iter()
        .map(|entry| {
            if entry.id <= below {
                let text = format!("cannot append {} to {key} after {below}", entry.id);
                return Err(Error::new(ErrorKind::Invalid, text));
            }
            below = entry.id;
            Ok((Columns::exact(entry.id)?, blob::encode(&entry.fields)))
        })
        .collect()
}

fn compare_and_append(
    db: &mut rusqlite::Connection,
    key: &Key,
    last: EntryId,
    rows: &[(Columns, Vec<u8>)],
) -> Result<Appended, Fault> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = key
        .find(&transaction)?
        .map_or(EntryId::ZERO, |stream| stream.last.id());
    if found != last {
        return Ok(Appended::Mismatch { last: found });
    }
    let Some((top, _)) = rows.last() else {
        return Ok(Appended::Added);
    };
    let stream = key.find_or_make(&transaction)?;
    {
        let mut insert =
            transaction.prepare_cached("INSERT INTO entries VALUES (?1, ?2, ?3, ?4)")?;
        for (id, fields) in rows {
            insert.execute((stream.id, id.high, id.low, fields))?;
        }
        transaction
            .prepare_cached(
                "UPDATE streams SET high = ?2, low = ?3, added = added + ?4, length = length + ?4
                 WHERE id = ?1",
            )?
            .execute((stream.id, top.high, top.low, row_count(rows.len())))?;
    }
    transaction.commit()?;
    Ok(Appended::Added)
}
