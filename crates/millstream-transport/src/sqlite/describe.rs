use rusqlite::OptionalExtension;

use millstream_core::error::Error;
use millstream_core::log::Description;

use super::call::{Fault, call};
use super::connect::Transport;
use super::id::Columns;
use super::key::Key;

pub(super) async fn describe(transport: &Transport, key: Key) -> Result<Description, Error> {
    call(&transport.reading, "describe", key.clone(), move |db| {
        // One snapshot, or the first entry could be one that the length no longer counts.
        let snapshot = db.transaction()?;
        let Some(stream) = key.find(&snapshot)? else {
            return Ok(Description::default());
        };
        let (length, added) = snapshot
            .prepare_cached("SELECT length, added FROM streams WHERE id = ?1")?
            .query_row([stream.id], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
            })?;
        let first = snapshot
            .prepare_cached(
                "SELECT high, low FROM entries WHERE stream_id = ?1 ORDER BY high, low LIMIT 1",
            )?
            .query_row([stream.id], Columns::of)
            .optional()?;
        Ok::<_, Fault>(Description {
            length: length.cast_unsigned(),
            added: added.cast_unsigned(),
            first: first.map(Columns::id),
            last: stream.last.id(),
        })
    })
    .await
}
