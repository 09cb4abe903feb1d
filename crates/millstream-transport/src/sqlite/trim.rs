use rusqlite::{OptionalExtension, TransactionBehavior};

use millstream_core::entry::EntryId;
use millstream_core::error::Error;

use super::call::{Fault, call};
use super::connect::Transport;
use super::id::Columns;
use super::key::Key;
use super::page::row_count;

/// Entries removed in one transaction, so that appends of other processes get in between.
const TRIM_MAX: i64 = 1_000;

/// Removes entries below `floor`, in steps.
///
/// Dropped in between, it has removed the oldest of them.
pub(super) async fn trim(transport: &Transport, key: Key, floor: EntryId) -> Result<u64, Error> {
    let floor = Columns::at_most(floor);
    let mut removed = 0;
    loop {
        let stepping = key.clone();
        let (step, done) = call(&transport.relaxed, "trim", &key, move |db| {
            trim_step(db, &stepping, floor)
        })
        .await?;
        removed += step;
        if done {
            return Ok(removed);
        }
    }
}

/// Removes some entries; says how many, and whether that was all.
fn trim_step(
    db: &mut rusqlite::Connection,
    key: &Key,
    floor: Columns,
) -> Result<(u64, bool), Fault> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let Some(stream) = key.find(&transaction)? else {
        return Ok((0, true));
    };
    let beyond = transaction
        .prepare_cached(
            "SELECT high, low FROM entries WHERE stream_id = ?1 AND (high, low) < (?2, ?3)
             ORDER BY high, low LIMIT 1 OFFSET ?4",
        )?
        .query_row((stream.id, floor.high, floor.low, TRIM_MAX), Columns::of)
        .optional()?;
    let below = beyond.unwrap_or(floor);
    let removed = transaction
        .prepare_cached("DELETE FROM entries WHERE stream_id = ?1 AND (high, low) < (?2, ?3)")?
        .execute((stream.id, below.high, below.low))?;
    if removed > 0 {
        transaction
            .prepare_cached("UPDATE streams SET length = length - ?2 WHERE id = ?1")?
            .execute((stream.id, row_count(removed)))?;
        transaction.commit()?;
    }
    Ok((removed as u64, beyond.is_none()))
}
