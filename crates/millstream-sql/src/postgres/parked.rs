//! Parked events that are tried again.

use std::collections::HashMap;

use deadpool_postgres::Transaction;
use tokio_postgres::GenericClient;

use millstream_core::clock::Timestamp;
use millstream_core::delivery::Outcome;
use millstream_core::error::Error;
use millstream_core::lease::{Feed, Role};
use millstream_core::store::{Again, DeadLetter};

use crate::batch::{Letter, Tried, Words, in_turn};
use crate::identifier::Prefix;
use crate::postgres::database::while_doing;
use crate::postgres::dead_letters::{COLUMNS, letter};
use crate::postgres::inbox::storable;
use crate::postgres::leases::columns;

/// Reads what is to be tried again of a feed: the first of its key each, and what stands behind that.
pub(super) async fn waiting(
    db: &impl GenericClient,
    prefix: &Prefix,
    feed: &Feed,
    after: i64,
    limit: usize,
) -> Result<Vec<DeadLetter>, Error> {
    let (stream, source, shard) = columns(feed);
    let sql = prefix.sql(&format!(
        "SELECT {COLUMNS}
         FROM (SELECT f.id, f.shard, f.source_application, f.tenant_id, f.partition_key
               FROM (SELECT min(id) AS id FROM ~dead_letters
                     WHERE tenant_id IS NOT NULL AND partition_key IS NOT NULL
                     GROUP BY source_application, tenant_id, partition_key) heads
               JOIN ~dead_letters f ON f.id = heads.id
               WHERE f.shard = (SELECT id FROM ~millstream_shards
                                WHERE role = $1 AND stream = $2 AND source = $3 AND shard = $4)
                 AND f.outcome IN ('retrying', 'blocked') AND f.id > $5
               ORDER BY f.id LIMIT $6) h
         JOIN ~dead_letters d
           ON d.source_application = h.source_application AND d.tenant_id = h.tenant_id
             AND d.partition_key = h.partition_key AND d.shard = h.shard AND d.id >= h.id
         JOIN ~millstream_shards s ON s.id = d.shard
         ORDER BY d.id LIMIT $6",
    ));
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = db
        .query(
            &sql,
            &[
                &Role::Consumer.as_str(),
                &stream,
                &source,
                &shard,
                &after,
                &limit,
            ],
        )
        .await
        .map_err(while_doing("read what is to be tried again"))?;
    rows.iter().map(letter).collect()
}

/// Locks letters that are to be tried again; none for one that has gone, is dead, or is not in its turn.
pub(super) async fn take(
    tx: &Transaction<'_>,
    prefix: &Prefix,
    again: &Again,
) -> Result<Vec<Option<Letter>>, Error> {
    let failed = while_doing("take parked events");
    let numbers: &[i64] = &again.numbers;
    let rows = tx
        .query(
            &prefix.sql(
                "SELECT id, source_application, tenant_id, partition_key, outcome, attempts, parked_at
                 FROM ~dead_letters
                 WHERE id = ANY($1) AND outcome IN ('retrying', 'blocked')
                   AND tenant_id IS NOT NULL AND partition_key IS NOT NULL
                 ORDER BY id FOR UPDATE",
            ),
            &[&numbers],
        )
        .await
        .map_err(failed)?;
    let mut taken: HashMap<i64, Letter> = HashMap::new();
    for row in rows {
        let letter = Letter {
            number: row.get(0),
            key: (row.get(1), row.get(2), row.get(3)),
            outcome: Outcome::parse(row.get(4)).unwrap_or(Outcome::Dead),
            attempts: u32::try_from(row.get::<_, i64>(5)).unwrap_or(u32::MAX),
            parked_at: Timestamp::from_millis(row.get(6)),
        };
        taken.insert(letter.number, letter);
    }

    let mut last: HashMap<&Words, i64> = HashMap::new();
    for letter in taken.values() {
        let last = last.entry(&letter.key).or_insert(letter.number);
        *last = letter.number.max(*last);
    }
    let keys: Vec<_> = last.keys().copied().collect();
    let sources: Vec<&str> = keys.iter().map(|key| key.0.as_str()).collect();
    let tenants: Vec<&str> = keys.iter().map(|key| key.1.as_str()).collect();
    let names: Vec<&str> = keys.iter().map(|key| key.2.as_str()).collect();
    let lasts: Vec<i64> = keys.iter().map(|key| last[key]).collect();
    let rows = tx
        .query(
            &prefix.sql(
                "SELECT d.source_application, d.tenant_id, d.partition_key, d.id
                 FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[])
                   AS n (source, tenant, key, last)
                 JOIN ~dead_letters d
                   ON d.source_application = n.source AND d.tenant_id = n.tenant
                     AND d.partition_key = n.key AND d.id <= n.last
                 ORDER BY d.id",
            ),
            &[&sources, &tenants, &names, &lasts],
        )
        .await
        .map_err(failed)?;
    let mut all: HashMap<_, Vec<i64>> = HashMap::new();
    for row in rows {
        let key = (row.get(0), row.get(1), row.get(2));
        all.entry(key).or_default().push(row.get(3));
    }
    let mut letters: Vec<_> = numbers.iter().map(|number| taken.remove(number)).collect();
    in_turn(&mut letters, &all);
    Ok(letters)
}

/// Writes how letters that were tried again have ended, and takes away those that are settled.
pub(super) async fn record(
    tx: &Transaction<'_>,
    prefix: &Prefix,
    tried: &Tried<'_>,
    applied_at: Timestamp,
) -> Result<(), Error> {
    let failed = while_doing("write what was tried again");
    let inbox = prefix.sql(
        "UPDATE ~millstream_inbox i SET outcome = n.outcome, applied_at = $3
         FROM unnest($1::bigint[], $2::text[]) AS n (id, outcome)
         JOIN ~dead_letters d ON d.id = n.id
         WHERE i.shard = d.shard AND i.generation = d.generation AND i.seq = d.seq
           AND i.twin = d.twin",
    );
    let settled: Vec<i64> = tried.settled.iter().map(|(number, _)| *number).collect();
    let again: Vec<i64> = tried.failed.iter().map(|(number, ..)| *number).collect();
    let outcomes = tried.settled.iter().map(|(_, outcome)| outcome.as_str());
    let outcomes: Vec<&str> = outcomes
        .chain(tried.failed.iter().map(|(_, outcome, _)| outcome.as_str()))
        .collect();
    let changed: Vec<i64> = settled.into_iter().chain(again.iter().copied()).collect();
    tx.execute(&inbox, &[&changed, &outcomes, &applied_at.as_millis()])
        .await
        .map_err(failed)?;
    if !again.is_empty() {
        let outcomes: Vec<&str> = tried
            .failed
            .iter()
            .map(|(_, word, _)| word.as_str())
            .collect();
        let reasons = tried
            .failed
            .iter()
            .map(|(_, _, reason)| storable(reason.as_str()));
        let reasons: Vec<_> = reasons.collect();
        tx.execute(
            &prefix.sql(
                "UPDATE ~dead_letters d
                 SET outcome = n.outcome, reason = n.reason, attempts = d.attempts + 1,
                     parked_at = CASE d.outcome WHEN 'blocked' THEN $4 ELSE d.parked_at END
                 FROM unnest($1::bigint[], $2::text[], $3::text[]) AS n (id, outcome, reason)
                 WHERE d.id = n.id",
            ),
            &[&again, &outcomes, &reasons, &applied_at.as_millis()],
        )
        .await
        .map_err(failed)?;
    }

    if !tried.refused.is_empty() {
        tx.execute(
            &prefix.sql("UPDATE ~dead_letters SET partition_key = NULL WHERE id = ANY($1)"),
            &[&tried.refused],
        )
        .await
        .map_err(failed)?;
    }

    let gone = tried.gone();
    if gone.is_empty() {
        return Ok(());
    }
    tx.execute(
        &prefix.sql(
            "DELETE FROM ~millstream_inbox i USING ~dead_letters d
             WHERE d.id = ANY($1) AND i.shard = d.shard AND i.generation = d.generation
               AND i.seq = d.seq AND i.twin = d.twin",
        ),
        &[&tried.repeated],
    )
    .await
    .map_err(failed)?;
    tx.execute(
        &prefix.sql("DELETE FROM ~dead_letters WHERE id = ANY($1)"),
        &[&gone],
    )
    .await
    .map(drop)
    .map_err(failed)
}
