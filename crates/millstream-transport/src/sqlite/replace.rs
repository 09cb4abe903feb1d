use std::sync::Arc;

use rusqlite::{Connection, TransactionBehavior};

use millstream_core::entry::{Entry, EntryId, Shard};
use millstream_core::error::Error;
use millstream_core::log::Appended;

use super::append::{Rows, compare};
use super::call::{Fault, call};
use super::connect::Transport;
use super::id::Columns;
use super::key::Key;
use super::wake::Mark;

pub(super) async fn replace(
    transport: &Transport,
    shard: &Shard,
    judged: EntryId,
    base: EntryId,
    entries: &[Entry],
) -> Result<Appended, Error> {
    let key = Key::owned(shard);
    let rows = Rows::encode(&key, base, entries)?;
    let base = Columns::exact(base)?;
    let wakes = Arc::clone(&transport.wakes);
    call(&transport.durable, "replace", key.clone(), move |db| {
        let (appended, mark) = compare_and_replace(db, &key, judged, base, &rows)?;
        if let Some(mark) = mark {
            wakes.wake(key.as_str(), mark);
        }
        Ok(appended)
    })
    .await
}

fn compare_and_replace(
    db: &mut Connection,
    key: &Key,
    judged: EntryId,
    base: Columns,
    rows: &Rows,
) -> Result<(Appended, Option<Mark>), Fault> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if let Some(mismatch) = compare(&transaction, key, judged)? {
        return Ok((mismatch, None));
    }
    let stream = key.find_or_make(&transaction)?;
    for table in [
        "DELETE FROM entries WHERE stream_id = ?1",
        "DELETE FROM positions WHERE stream_id = ?1",
    ] {
        transaction.prepare_cached(table)?.execute([stream.id])?;
    }
    rows.insert(&transaction, stream.id)?;
    let top = rows.top().unwrap_or(base);
    let replaced = stream.replaced + 1;
    transaction
        .prepare_cached(
            "UPDATE streams SET high = ?2, low = ?3, added = ?4, length = ?5, replaced = ?6
             WHERE id = ?1",
        )?
        .execute((
            stream.id,
            top.high,
            top.low,
            // Seqs are dense, so the last one tells how many there ever were.
            top.low.max(rows.count()),
            rows.count(),
            replaced,
        ))?;
    transaction.commit()?;
    let last = top.id();
    Ok((Appended::Added, Some(Mark { last, replaced })))
}
