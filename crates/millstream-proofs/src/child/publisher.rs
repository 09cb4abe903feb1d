use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use millstream::rusqlite::{Connection, Transaction, TransactionBehavior};
use millstream::{CancellationToken, sqlite};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::child::pulse::Pulse;
use crate::child::stop;
use crate::history::{Happening, History};
use crate::site::{Site, unsigned};

/// Events of one transaction.
const EVENTS_MAX: usize = 40;

/// Events of one transaction where nothing holds the pace down.
const EVENTS_MAX_UNPACED: usize = 200;

/// A gap between two transactions, in which the relay gets the file's one write lock.
const GAP: Duration = Duration::from_millis(1);

/// How long a transaction waits for its lock.
const BUSY_MAX: Duration = Duration::from_secs(30);

/// How often a publisher that has done everything looks whether it may go.
const IDLE_INTERVAL: Duration = Duration::from_millis(10);

/// Lets the history happen, from where the database says that it got to, as far as it may.
pub(super) fn run(
    site: &Site,
    history: &History,
    pace: Option<f64>,
    until: Option<u64>,
) -> anyhow::Result<()> {
    let until = Arc::new(AtomicU64::new(until.unwrap_or(u64::MAX)));
    let stop = stop::listen(until.clone());
    let mut db = Connection::open(site.database("crm"))?;
    db.busy_timeout(BUSY_MAX)?;
    db.pragma_update(None, "synchronous", "full")?;
    let happened = db.query_row("SELECT count(*) FROM outbox", [], |row| unsigned(row, 0))?;

    let mut events = history.open()?.skip(usize::try_from(happened)?).peekable();
    let mut pulse = Pulse::default();
    let mut random = StdRng::seed_from_u64(history.seed.unwrap_or_default() ^ happened);
    while events.peek().is_some() && !stop.is_cancelled() {
        let left = until
            .load(Ordering::Relaxed)
            .saturating_sub(happened + pulse.done);
        if left == 0 {
            thread::sleep(IDLE_INTERVAL);
            continue;
        }
        let count = match pace {
            Some(_) => random.random_range(1..=EVENTS_MAX),
            None => EVENTS_MAX_UNPACED,
        };
        let count = count.min(usize::try_from(left).unwrap_or(usize::MAX));
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for happening in events.by_ref().take(count) {
            record(&tx, &happening?)?;
            pulse.done += 1;
        }
        tx.commit().context("crm.db")?;
        pulse.say()?;
        let rest = |pace| {
            Duration::from_secs_f64(f64::from(u8::try_from(count).unwrap_or(u8::MAX)) / pace)
        };
        thread::sleep(pace.map_or(GAP, rest));
    }
    wait(&stop);
    Ok(())
}

/// Changes CRM's own row and publishes, in one transaction.
fn record(tx: &Transaction<'_>, happening: &Happening) -> anyhow::Result<()> {
    tx.prepare_cached(
        "INSERT INTO users (tenant_id, user_id, events) VALUES (?1, ?2, 1)
         ON CONFLICT DO UPDATE SET events = events + 1",
    )?
    .execute([&happening.tenant, &happening.entity])?;
    sqlite::publish(tx, &happening.event()?)?;
    Ok(())
}

/// Stays until it is told to stop: a part that ends by itself is a failure.
fn wait(stop: &CancellationToken) {
    while !stop.is_cancelled() {
        thread::sleep(IDLE_INTERVAL);
    }
}
