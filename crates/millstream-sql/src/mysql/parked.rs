//! Parked events that are tried again.

use std::collections::HashMap;

use mysql_async::Value;

use millstream_core::clock::Timestamp;
use millstream_core::delivery::Outcome;
use millstream_core::error::Error;
use millstream_core::lease::{Feed, Role};
use millstream_core::store::{Again, DeadLetter};

use crate::batch::{Letter, Tried, Words, in_turn};
use crate::identifier::Prefix;
use crate::mysql::database::Database;
use crate::mysql::dead_letters::{COLUMNS, letter};
use crate::mysql::leases::place;
use crate::mysql::row::{integer, text};
use crate::mysql::session::{Session, in_list, values};

/// Reads what is to be tried again of a feed: the first of its key each, and what stands behind that.
pub(super) async fn waiting(
    db: &Database,
    feed: &Feed,
    after: i64,
    limit: usize,
) -> Result<Vec<DeadLetter>, Error> {
    let sql = db.sql(&format!(
        "SELECT {COLUMNS}
         FROM (SELECT f.id, f.shard, f.source_application, f.tenant_id, f.partition_key
               FROM (SELECT min(id) AS id FROM ~dead_letters
                     WHERE tenant_id IS NOT NULL AND partition_key IS NOT NULL
                     GROUP BY source_application, tenant_id, partition_key) heads
               JOIN ~dead_letters f ON f.id = heads.id
               WHERE f.shard = (SELECT id FROM ~millstream_shards
                                WHERE role = ? AND stream = ? AND source = ? AND shard = ?)
                 AND f.outcome IN ('retrying', 'blocked') AND f.id > ?
               ORDER BY f.id LIMIT ?) h
         JOIN ~dead_letters d
           ON d.source_application = h.source_application AND d.tenant_id = h.tenant_id
             AND d.partition_key = h.partition_key AND d.shard = h.shard AND d.id >= h.id
         JOIN ~millstream_shards s ON s.id = d.shard
         ORDER BY d.id LIMIT ?",
    ));
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut parameters = place(Role::Consumer, feed);
    parameters.extend(values![after, limit, limit]);
    let mut session = db.session().await?;
    let rows = session
        .all("read what is to be tried again", &sql, parameters)
        .await?;
    session.give_back();
    rows.iter().map(letter).collect()
}

/// Locks letters that are to be tried again; none for one that has gone, is dead, or is not in its turn.
pub(super) async fn take(
    session: &mut Session,
    prefix: &Prefix,
    again: &Again,
) -> Result<Vec<Option<Letter>>, Error> {
    let doing = "take parked events";
    let (marks, parameters) = in_list(&again.numbers);
    let sql = prefix.sql(&format!(
        "SELECT id, source_application, tenant_id, partition_key, outcome, attempts, parked_at
         FROM ~dead_letters
         WHERE id IN ({marks}) AND outcome IN ('retrying', 'blocked')
           AND tenant_id IS NOT NULL AND partition_key IS NOT NULL
         ORDER BY id FOR UPDATE"
    ));
    let mut taken = HashMap::new();
    let mut lasts: HashMap<Words, i64> = HashMap::new();
    for row in session.all(doing, &sql, parameters).await? {
        let word = |column| text(&row, column).unwrap_or_default();
        let letter = Letter {
            number: integer(&row, 0),
            key: (word(1), word(2), word(3)),
            outcome: Outcome::parse(&word(4)).unwrap_or(Outcome::Dead),
            attempts: u32::try_from(integer(&row, 5)).unwrap_or(u32::MAX),
            parked_at: Timestamp::from_millis(integer(&row, 6)),
        };
        lasts.insert(letter.key.clone(), letter.number);
        taken.insert(letter.number, letter);
    }
    let sql = prefix.sql(
        "SELECT id FROM ~dead_letters
         WHERE source_application = ? AND tenant_id = ? AND partition_key = ? AND id <= ?
         ORDER BY id",
    );
    let mut all = HashMap::new();
    for (key, last) in lasts {
        let parameters = values![key.0.as_str(), key.1.as_str(), key.2.as_str(), last];
        let rows = session.all(doing, &sql, parameters).await?;
        all.insert(key, rows.iter().map(|row| integer(row, 0)).collect());
    }
    let mut letters: Vec<_> = again
        .numbers
        .iter()
        .map(|number| taken.remove(number))
        .collect();
    in_turn(&mut letters, &all);
    Ok(letters)
}

/// Writes how letters that were tried again have ended, and takes away those that are settled.
pub(super) async fn record(
    session: &mut Session,
    prefix: &Prefix,
    tried: &Tried<'_>,
    applied_at: Timestamp,
) -> Result<(), Error> {
    let doing = "write what was tried again";
    let inbox = prefix.sql(
        "UPDATE ~millstream_inbox i JOIN ~dead_letters d
           ON i.shard = d.shard AND i.generation = d.generation AND i.seq = d.seq AND i.twin = d.twin
         SET i.outcome = ?, i.applied_at = ? WHERE d.id = ?",
    );
    let failed = tried
        .failed
        .iter()
        .map(|(number, outcome, _)| (number, outcome));
    let settled = tried
        .settled
        .iter()
        .map(|(number, outcome)| (number, outcome));
    for (number, outcome) in settled.chain(failed) {
        let parameters = values![outcome.as_str(), applied_at.as_millis(), *number];
        session.run(doing, &inbox, parameters).await?;
    }
    let letter = prefix.sql(
        "UPDATE ~dead_letters SET parked_at = CASE outcome WHEN 'blocked' THEN ? ELSE parked_at END,
           outcome = ?, reason = ?, attempts = attempts + 1 WHERE id = ?",
    );
    for (number, outcome, reason) in &tried.failed {
        let parameters = values![
            applied_at.as_millis(),
            outcome.as_str(),
            reason.as_str(),
            *number,
        ];
        session.run(doing, &letter, parameters).await?;
    }
    if !tried.refused.is_empty() {
        let (marks, parameters) = in_list(&tried.refused);
        let sql = prefix.sql(&format!(
            "UPDATE ~dead_letters SET partition_key = NULL WHERE id IN ({marks})"
        ));
        session.run(doing, &sql, parameters).await?;
    }
    if !tried.repeated.is_empty() {
        let (marks, parameters) = in_list(&tried.repeated);
        let sql = prefix.sql(&format!(
            "DELETE i FROM ~millstream_inbox i JOIN ~dead_letters d
               ON i.shard = d.shard AND i.generation = d.generation AND i.seq = d.seq
                 AND i.twin = d.twin
             WHERE d.id IN ({marks})"
        ));
        session.run(doing, &sql, parameters).await?;
    }
    let gone = tried.gone();
    if !gone.is_empty() {
        let (marks, parameters): (String, Vec<Value>) = in_list(&gone);
        let sql = prefix.sql(&format!("DELETE FROM ~dead_letters WHERE id IN ({marks})"));
        session.run(doing, &sql, parameters).await?;
    }
    Ok(())
}
