//! Parked events that are tried again.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Transaction, named_params};

use millstream_core::clock::Timestamp;
use millstream_core::delivery::Outcome;
use millstream_core::error::Error;
use millstream_core::lease::{Feed, Role};
use millstream_core::store::{Again, DeadLetter};

use crate::batch::{Letter, Tried, Words, in_turn};
use crate::identifier::Prefix;
use crate::sqlite::database::while_doing;
use crate::sqlite::dead_letters::{COLUMNS, letter};
use crate::sqlite::leases::columns;

/// Reads what is to be tried again of a feed: the first of its key each, and what stands behind that.
pub(super) fn waiting(
    db: &Connection,
    prefix: &Prefix,
    feed: &Feed,
    after: i64,
    limit: usize,
) -> Result<Vec<DeadLetter>, Error> {
    let failed = while_doing("read what is to be tried again");
    let (stream, source, shard) = columns(feed);
    let mut query = db
        .prepare_cached(&prefix.sql(&format!(
            "SELECT {COLUMNS}
             FROM (SELECT f.id, f.shard, f.source_application, f.tenant_id, f.partition_key
                   FROM (SELECT min(id) AS id FROM ~dead_letters
                         WHERE tenant_id IS NOT NULL AND partition_key IS NOT NULL
                         GROUP BY source_application, tenant_id, partition_key) heads
                   JOIN ~dead_letters f ON f.id = heads.id
                   WHERE f.shard = (SELECT id FROM ~millstream_shards
                                    WHERE role = :role AND stream = :stream AND source = :source
                                      AND shard = :shard)
                     AND f.outcome IN ('retrying', 'blocked') AND f.id > :after
                   ORDER BY f.id LIMIT :limit) h
             JOIN ~dead_letters d
               ON d.source_application = h.source_application AND d.tenant_id = h.tenant_id
                 AND d.partition_key = h.partition_key AND d.shard = h.shard AND d.id >= h.id
             JOIN ~millstream_shards s ON s.id = d.shard
             ORDER BY d.id LIMIT :limit",
        )))
        .map_err(&failed)?;
    let rows = query.query_map(
        named_params! {
            ":role": Role::Consumer.as_str(), ":stream": stream, ":source": source,
            ":shard": shard, ":after": after,
            ":limit": i64::try_from(limit).unwrap_or(i64::MAX),
        },
        letter,
    );
    rows.and_then(Iterator::collect).map_err(&failed)
}

/// Finds letters that are to be tried again; none for one that has gone, is dead, or is not in its turn.
pub(super) fn take(
    tx: &Transaction<'_>,
    prefix: &Prefix,
    again: &Again,
) -> Result<Vec<Option<Letter>>, Error> {
    take_them(tx, prefix, again).map_err(while_doing("take parked events"))
}

fn take_them(
    tx: &Transaction<'_>,
    prefix: &Prefix,
    again: &Again,
) -> rusqlite::Result<Vec<Option<Letter>>> {
    let mut query = tx.prepare_cached(&prefix.sql(
        "SELECT source_application, tenant_id, partition_key, outcome, attempts, parked_at
         FROM ~dead_letters
         WHERE id = ?1 AND outcome IN ('retrying', 'blocked')
           AND tenant_id IS NOT NULL AND partition_key IS NOT NULL",
    ))?;
    let mut letters = Vec::with_capacity(again.numbers.len());
    let mut lasts: HashMap<Words, i64> = HashMap::new();
    for &number in again.numbers.iter() {
        let letter = query.query_row([number], |row| {
            let outcome: String = row.get(3)?;
            Ok(Letter {
                number,
                key: (row.get(0)?, row.get(1)?, row.get(2)?),
                outcome: Outcome::parse(&outcome).unwrap_or(Outcome::Dead),
                attempts: row.get(4)?,
                parked_at: Timestamp::from_millis(row.get(5)?),
            })
        });
        let letter = letter.optional()?;
        lasts.extend(letter.iter().map(|letter| (letter.key.clone(), number)));
        letters.push(letter);
    }
    let mut query = tx.prepare_cached(&prefix.sql(
        "SELECT id FROM ~dead_letters
         WHERE source_application = ?1 AND tenant_id = ?2 AND partition_key = ?3 AND id <= ?4
         ORDER BY id",
    ))?;
    let mut all = HashMap::new();
    for (key, last) in lasts {
        let numbers = query.query_map((&key.0, &key.1, &key.2, last), |row| row.get(0))?;
        let numbers = numbers.collect::<Result<Vec<i64>, _>>()?;
        all.insert(key, numbers);
    }
    in_turn(&mut letters, &all);
    Ok(letters)
}

/// Writes how letters that were tried again have ended, and takes away those that are settled.
pub(super) fn record(
    tx: &Transaction<'_>,
    prefix: &Prefix,
    tried: &Tried<'_>,
    applied_at: Timestamp,
) -> Result<(), Error> {
    record_them(tx, prefix, tried, applied_at).map_err(while_doing("write what was tried again"))
}

fn record_them(
    tx: &Transaction<'_>,
    prefix: &Prefix,
    tried: &Tried<'_>,
    applied_at: Timestamp,
) -> rusqlite::Result<()> {
    let mut inbox = tx.prepare_cached(&prefix.sql(
        "UPDATE ~millstream_inbox SET outcome = ?2, applied_at = ?3
         WHERE (shard, generation, seq, twin) =
           (SELECT shard, generation, seq, twin FROM ~dead_letters WHERE id = ?1)",
    ))?;
    let failed = tried
        .failed
        .iter()
        .map(|(number, outcome, _)| (number, outcome));
    let settled = tried
        .settled
        .iter()
        .map(|(number, outcome)| (number, outcome));
    for (number, outcome) in settled.chain(failed) {
        inbox.execute((number, outcome.as_str(), applied_at.as_millis()))?;
    }
    let mut letter = tx.prepare_cached(&prefix.sql(
        "UPDATE ~dead_letters SET outcome = ?2, reason = ?3, attempts = attempts + 1,
           parked_at = CASE outcome WHEN 'blocked' THEN ?4 ELSE parked_at END WHERE id = ?1",
    ))?;
    for (number, outcome, reason) in &tried.failed {
        let at = applied_at.as_millis();
        letter.execute((number, outcome.as_str(), reason.as_str(), at))?;
    }
    let mut free = tx.prepare_cached(
        &prefix.sql("UPDATE ~dead_letters SET partition_key = NULL WHERE id = ?1"),
    )?;
    for number in &tried.refused {
        free.execute([number])?;
    }
    let mut inbox = tx.prepare_cached(&prefix.sql(
        "DELETE FROM ~millstream_inbox
         WHERE (shard, generation, seq, twin) =
           (SELECT shard, generation, seq, twin FROM ~dead_letters WHERE id = ?1)",
    ))?;
    for number in &tried.repeated {
        inbox.execute([number])?;
    }
    let mut letter = tx.prepare_cached(&prefix.sql("DELETE FROM ~dead_letters WHERE id = ?1"))?;
    for number in tried.gone() {
        letter.execute([number])?;
    }
    Ok(())
}
