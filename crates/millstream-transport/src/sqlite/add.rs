use std::sync::Arc;

use rusqlite::{Connection, TransactionBehavior};

use millstream_core::clock::Clock;
use millstream_core::entry::{EntryId, Fields};
use millstream_core::error::Error;
use millstream_core::name::StreamName;

use super::call::call;
use super::connect::Transport;
use super::fields;
use super::id::Columns;
use super::key::{Key, Stream};
use super::wake::Mark;

pub(super) async fn add(
    transport: &Transport,
    stream: &StreamName,
    fields: &Fields,
) -> Result<EntryId, Error> {
    let key = Key::shared(stream);
    let blob = fields::encode(&key, fields)?;
    let (wakes, clock) = (Arc::clone(&transport.wakes), Arc::clone(&transport.clock));
    call(&transport.durable, "add to", key.clone(), move |db| {
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let stream = key.find_or_make(&transaction)?;
        let added = insert(&transaction, &stream, &*clock, &blob)?;
        transaction.commit()?;
        let mark = Mark {
            last: added.id.id(),
            replaced: stream.replaced,
        };
        wakes.wake(key.as_str(), mark);
        Ok(mark.last)
    })
    .await
}

/// An entry that was given an id.
pub(super) struct Added {
    pub(super) id: Columns,
    /// What the stream holds now.
    pub(super) length: i64,
}

/// Adds an entry at the end. Belongs into a write transaction.
pub(super) fn insert(
    db: &Connection,
    stream: &Stream,
    clock: &dyn Clock,
    blob: &[u8],
) -> rusqlite::Result<Added> {
    // Asked under the lock, so that ids follow the order of the additions.
    let id = next_id(stream.last, clock.now().as_millis());
    db.prepare_cached("INSERT INTO entries VALUES (?1, ?2, ?3, ?4)")?
        .execute((stream.id, id.high, id.low, blob))?;
    let length = db
        .prepare_cached(
            "UPDATE streams SET high = ?2, low = ?3, added = added + 1, length = length + 1
             WHERE id = ?1 RETURNING length",
        )?
        .query_row((stream.id, id.high, id.low), |row| row.get(0))?;
    Ok(Added { id, length })
}

/// The time, or the next one of the last millisecond where the clock stands still or went back.
fn next_id(last: Columns, now: i64) -> Columns {
    if now > last.high {
        Columns { high: now, low: 0 }
    } else {
        Columns {
            high: last.high,
            low: last.low + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_rise_when_the_clock_does_not() {
        let last = Columns { high: 7, low: 3 };
        assert_eq!(next_id(last, 8), Columns { high: 8, low: 0 });
        assert_eq!(next_id(last, 7), Columns { high: 7, low: 4 });
        assert_eq!(next_id(last, -1), Columns { high: 7, low: 4 });
        assert_eq!(
            next_id(Columns { high: 0, low: 0 }, -1),
            Columns { high: 0, low: 1 }
        );
    }
}
