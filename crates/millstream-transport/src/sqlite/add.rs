use std::sync::Arc;

use rusqlite::TransactionBehavior;

use millstream_core::blob;
use millstream_core::clock::Clock;
use millstream_core::entry::{EntryId, Fields};
use millstream_core::error::Error;
use millstream_core::name::StreamName;

use super::call::{Fault, call};
use super::connect::Transport;
use super::id::Columns;
use super::key::Key;

pub(super) async fn add(
    transport: &Transport,
    stream: &StreamName,
    fields: &Fields,
) -> Result<EntryId, Error> {
    let key = Key::shared(stream);
    let blob = blob::encode(fields);
    let (wakes, clock) = (Arc::clone(&transport.wakes), Arc::clone(&transport.clock));
    call(&transport.durable, "add to", key.clone(), move |db| {
        let id = insert(db, &key, &*clock, &blob)?.id();
        wakes.wake(key.as_str(), id);
        Ok(id)
    })
    .await
}

fn insert(
    db: &mut rusqlite::Connection,
    key: &Key,
    clock: &dyn Clock,
    blob: &[u8],
) -> Result<Columns, Fault> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let stream = key.find_or_make(&transaction)?;
    // Asked under the lock, so that ids follow the order of the additions.
    let id = next_id(stream.last, clock.now().as_millis());
    transaction
        .prepare_cached("INSERT INTO entries VALUES (?1, ?2, ?3, ?4)")?
        .execute((stream.id, id.high, id.low, blob))?;
    transaction
        .prepare_cached(
            "UPDATE streams SET high = ?2, low = ?3, added = added + 1, length = length + 1
             WHERE id = ?1",
        )?
        .execute((stream.id, id.high, id.low))?;
    transaction.commit()?;
    Ok(id)
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
