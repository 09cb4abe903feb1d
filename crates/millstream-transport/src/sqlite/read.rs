use std::time::Duration;

use rusqlite::Connection;

use millstream_core::entry::{Entry, EntryId};
use millstream_core::error::Error;
use millstream_core::log::ReadLimit;

use super::call::{Fault, call};
use super::connect::Transport;
use super::id::Columns;
use super::key::Key;
use super::page::{Page, row_count};

/// Reads entries above `after`, and waits for the first.
pub(super) async fn read(
    transport: &Transport,
    key: Key,
    after: EntryId,
    limit: ReadLimit,
    wait: Duration,
) -> Result<Vec<Entry>, Error> {
    let mut waiter = transport.waiter(&key, wait);
    loop {
        // Look only after having begun to listen: what is appended in between wakes us.
        waiter.listen();
        let entries = range(transport, key.clone(), after, limit).await?;
        if !entries.is_empty() || limit.count == 0 || !waiter.wait().await? {
            return Ok(entries);
        }
    }
}

/// Reads what is there.
pub(super) async fn range(
    transport: &Transport,
    key: Key,
    after: EntryId,
    limit: ReadLimit,
) -> Result<Vec<Entry>, Error> {
    let after = Columns::at_most(after);
    call(&transport.reading, "read", key.clone(), move |db| {
        match key.find(db)? {
            // The row of a stream never goes, so this needs no common snapshot.
            Some(stream) => select(db, stream.id, after, limit),
            None => Ok(Vec::new()),
        }
    })
    .await
}

/// The entries of a stream above an id.
pub(super) fn select(
    db: &Connection,
    stream_id: i64,
    after: Columns,
    limit: ReadLimit,
) -> Result<Vec<Entry>, Fault> {
    let mut select = db.prepare_cached(
        "SELECT high, low, fields FROM entries
         WHERE stream_id = ?1 AND (high, low) > (?2, ?3)
         ORDER BY high, low LIMIT ?4",
    )?;
    let mut rows = select.query((stream_id, after.high, after.low, row_count(limit.count)))?;
    Page::new(limit).fill(&mut rows)
}
