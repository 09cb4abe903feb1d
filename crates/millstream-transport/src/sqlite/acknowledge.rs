use std::sync::Arc;

use rusqlite::{Connection, TransactionBehavior};

use millstream_core::entry::{Entry, EntryId, Fields};
use millstream_core::error::Error;
use millstream_core::limits::ACKNOWLEDGMENTS_MAX;
use millstream_core::log::ReadLimit;
use millstream_core::name::AppName;

use super::add::insert;
use super::call::call;
use super::connect::Transport;
use super::fields;
use super::id::Columns;
use super::key::{Key, Stream};
use super::page::row_count;
use super::read::select;

/// Messages beyond the maximum that are removed together, so that most insertions remove none.
const SURPLUS: usize = 100;

pub(super) async fn acknowledge(
    transport: &Transport,
    owner: &AppName,
    fields: &Fields,
) -> Result<(), Error> {
    let key = Key::acknowledgments(owner);
    let blob = fields::encode(&key, fields)?;
    let clock = Arc::clone(&transport.clock);
    call(&transport.relaxed, "add to", key.clone(), move |db| {
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let stream = key.find_or_make(&transaction)?;
        let added = insert(&transaction, &stream, &*clock, &blob)?;
        if added.length >= row_count(ACKNOWLEDGMENTS_MAX + SURPLUS) {
            remove_surplus(&transaction, &stream)?;
        }
        Ok(transaction.commit()?)
    })
    .await
}

fn remove_surplus(db: &Connection, stream: &Stream) -> rusqlite::Result<()> {
    let removed = db
        .prepare_cached(
            "DELETE FROM entries WHERE stream_id = ?1 AND (high, low) <
                 (SELECT high, low FROM entries WHERE stream_id = ?1
                  ORDER BY high, low LIMIT 1 OFFSET ?2)",
        )?
        .execute((stream.id, row_count(SURPLUS)))?;
    db.prepare_cached("UPDATE streams SET length = length - ?2 WHERE id = ?1")?
        .execute((stream.id, row_count(removed)))?;
    Ok(())
}

pub(super) async fn acknowledgments(
    transport: &Transport,
    owner: &AppName,
    after: EntryId,
    count: usize,
) -> Result<Vec<Entry>, Error> {
    let key = Key::acknowledgments(owner);
    let after = Columns::at_most(after);
    let limit = ReadLimit {
        count,
        bytes: usize::MAX,
    };
    call(&transport.reading, "read", key.clone(), move |db| {
        // One snapshot, or what was lost could come back between the two statements.
        let snapshot = db.transaction()?;
        let Some(stream) = key.find(&snapshot)? else {
            return Ok(Vec::new());
        };
        let after = if stream.last < after {
            Columns { high: 0, low: 0 }
        } else {
            after
        };
        select(&snapshot, stream.id, after, limit)
    })
    .await
}
