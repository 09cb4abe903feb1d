//! What the database itself needs for the same rows.

use std::path::Path;
use std::time::Instant;

use millstream::core::name::AppName;
use millstream::rusqlite::{Connection, TransactionBehavior, params};
use millstream::sqlite::{Prefix, migrate};

use crate::cli::Bench;
use crate::commands::bench::command::fresh;
use crate::commands::bench::part::Measured;
use crate::commands::bench::rows;

/// Events of one commit.
const BATCH: u64 = 1_000;

const INBOX: &str = "INSERT INTO millstream_inbox
  (shard, generation, seq, twin, event_id, event_type, source_application, tenant_id, entity_id,
   outcome, published_at, received_at, applied_at)
  VALUES (?, 1, ?, 0, ?, ?, NULL, ?, ?, 'applied', ?, ?, ?)";

/// Writes target and inbox rows, and nothing else: no log, no decoding, no mapping, no checkpoint.
pub(super) fn measure(args: &Bench, dir: &Path) -> anyhow::Result<Measured> {
    let path = fresh(dir, "floor.db")?;
    let mut db = Connection::open(&path)?;
    db.pragma_update(None, "journal_mode", "wal")?;
    db.pragma_update(None, "synchronous", "full")?;
    db.pragma_update(None, "foreign_keys", true)?;
    db.execute_batch(rows::TABLE)?;
    migrate(&mut db, &AppName::new("hr")?, &Prefix::default(), None)?;

    let events = u64::from(args.events);
    let mut seqs = [0i64; rows::SHARDS as usize];
    let started = Instant::now();
    let mut n = 0;
    while n < events {
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut upsert = tx.prepare_cached(rows::UPSERT)?;
            let mut inbox = tx.prepare_cached(INBOX)?;
            for n in n..events.min(n + BATCH) {
                let person = rows::person(n, events);
                upsert.execute(params![
                    person.tenant,
                    person.user,
                    rows::FIRST_NAME,
                    rows::LAST_NAME,
                    person.email,
                    rows::TITLE,
                    person.salary
                ])?;
                // Runs of one shard, as a consumer's batches are.
                let shard = usize::try_from(n / BATCH)? % seqs.len();
                seqs[shard] += 1;
                inbox.execute(params![
                    i64::try_from(shard)?,
                    seqs[shard],
                    rows::event_id(n),
                    "user.updated",
                    person.tenant,
                    person.user,
                    "2026-01-01T00:00:00.000Z",
                    1_767_225_600_000_i64,
                    1_767_225_600_000_i64
                ])?;
            }
        }
        tx.commit()?;
        n += BATCH;
    }
    let per_second = f64::from(args.events) / started.elapsed().as_secs_f64();
    Ok(Measured {
        per_second,
        ..Measured::default()
    })
}
