use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::outbox::server::Session;

/// Keys that all writers write to.
const KEYS: u32 = 500;

/// Rows of one statement, and statements of one transaction, at most.
const ROWS_MAX: usize = 6;
const STATEMENTS_MAX: usize = 3;

/// One in so many transactions is rolled back.
const ROLLED_BACK_ONE_IN: u32 = 5;

/// What all writers have done.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) committed: AtomicU64,
    pub(super) rolled_back: AtomicU64,
    pub(super) again: AtomicU64,
}

/// Writes until all of them together have committed so many rows.
pub(super) async fn write(
    session: &mut Session,
    number: usize,
    seed: u64,
    rows: u64,
    tally: &Tally,
) -> anyhow::Result<()> {
    let mut random = StdRng::seed_from_u64(seed ^ (number as u64) << 32);
    let mut n = 0_u64;
    while tally.committed.load(Ordering::Relaxed) < rows {
        let (mut sql, mut count) = ("BEGIN".to_owned(), 0);
        for _ in 0..random.random_range(1..=STATEMENTS_MAX) {
            sql.push_str(
                "; INSERT INTO outbox (event_type, tenant_id, entity_id, event_data) VALUES ",
            );
            let wanted = random.random_range(1..=ROWS_MAX);
            for row in 0..wanted {
                n += 1;
                count += 1;
                let key = match row {
                    // Two new ones in most transactions.
                    0 => format!("new-{number}-{n}"),
                    _ => format!("k{}", random.random_range(0..KEYS)),
                };
                let comma = if row > 0 { ", " } else { "" };
                write!(
                    sql,
                    "{comma}('x', 'acme', '{key}', '{{\"w\":{number},\"n\":{n}}}')"
                )?;
            }
        }
        let commits = random.random_range(0..ROLLED_BACK_ONE_IN) > 0;
        sql.push_str(if commits { "; COMMIT" } else { "; ROLLBACK" });
        while !session.run(&sql).await? {
            tally.again.fetch_add(1, Ordering::Relaxed);
        }
        let done = match commits {
            true => &tally.committed,
            false => &tally.rolled_back,
        };
        done.fetch_add(count, Ordering::Relaxed);
    }
    Ok(())
}
