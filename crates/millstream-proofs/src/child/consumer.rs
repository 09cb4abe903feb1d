use std::sync::Arc;

use async_trait::async_trait;
use millstream::rusqlite::Transaction;
use millstream::{App, Event, Transport, mysql, postgres};
use millstream_core::log::Log;
use millstream_testkit::repeating::Repeating;
use millstream_testkit::wrapped::{Wrapped, Wrapper};
use serde_json::Value;

use crate::child::pulse::{Pulse, beat};
use crate::child::stop;
use crate::site::Site;

/// How many reads bring entries again: so many that more than 5 % of the entries come twice, however
/// large the reads are.
const READS_REPEATING_PERCENT: u32 = 50;

type Handled = Result<(), Box<dyn std::error::Error + Send + Sync>>;

pub(super) async fn run(site: &Site, application: &str, seed: u64) -> anyhow::Result<()> {
    let app = with_handlers(site.app(application)?);
    let Transport { log, queue } = site.connect().await?;
    let log = Wrapped(Through(log));
    let log = Arc::new(Repeating::new(log, READS_REPEATING_PERCENT, seed));
    let transport = Transport {
        log: log.clone(),
        queue,
    };
    let consumer = app.consumer(&transport)?;
    let handle = consumer.handle();
    let pulse = || Pulse {
        done: handle.status().counts.total(),
        repeated: log.repeated(),
        ..Pulse::default()
    };
    tokio::select! {
        ended = consumer.run(stop::when_stdin_closes()) => Ok(ended?),
        ended = beat(pulse) => ended,
    }
}

/// Handlers that may run once an event only.
fn with_handlers(app: App) -> App {
    if app.name().as_str().starts_with("hr") {
        return app
            .on("credit.allocated", credit)
            .on_postgres("credit.allocated", Credit)
            .on_mysql("credit.allocated", Credit);
    }
    let kinds = [
        "user.created",
        "user.updated",
        "user.deleted",
        "role.assigned",
    ];
    let more = ["credit.allocated", "org.assigned", "org.unassigned"];
    kinds
        .into_iter()
        .chain(more)
        .fold(app, |app, kind| app.on(kind, write_down))
}

/// Adds to a balance.
fn credit(event: &Event, tx: &Transaction<'_>) -> Handled {
    tx.prepare_cached(
        "INSERT INTO balances (tenant_id, user_id, balance, events) VALUES (?1, ?2, ?3, 1)
         ON CONFLICT DO UPDATE SET balance = balance + excluded.balance, events = events + 1",
    )?
    .execute(Credit::of(event)?)?;
    Ok(())
}

/// The same on a server.
struct Credit;

impl Credit {
    /// Whose balance it is, and by how much it rises.
    fn of(event: &Event) -> Result<(&str, &str, i64), serde_json::Error> {
        let data: Value = serde_json::from_str(event.data.as_str())?;
        let salary = data["salary"].as_i64().unwrap_or(0);
        Ok((event.tenant.as_str(), event.entity.as_str(), salary))
    }
}

#[async_trait]
impl postgres::Handler for Credit {
    async fn handle(
        &self,
        event: &Event,
        tx: &postgres::tokio_postgres::Transaction<'_>,
    ) -> Handled {
        let (tenant, user, salary) = Self::of(event)?;
        tx.execute(
            "INSERT INTO balances (tenant_id, user_id, balance, events) VALUES ($1, $2, $3, 1)
             ON CONFLICT (tenant_id, user_id) DO UPDATE
             SET balance = balances.balance + excluded.balance, events = balances.events + 1",
            &[&tenant, &user, &salary],
        )
        .await?;
        Ok(())
    }
}

#[async_trait]
impl mysql::Handler for Credit {
    async fn handle(&self, event: &Event, tx: &mut mysql::Lent<'_>) -> Handled {
        tx.exec_drop(
            "INSERT INTO balances (tenant_id, user_id, balance, events) VALUES (?, ?, ?, 1)
             ON DUPLICATE KEY UPDATE balance = balance + VALUES(balance), events = events + 1",
            Self::of(event)?,
        )
        .await?;
        Ok(())
    }
}

/// Adds a line to the journal.
fn write_down(event: &Event, tx: &Transaction<'_>) -> Handled {
    tx.prepare_cached("INSERT INTO journal (tenant_id, user_id, event_id) VALUES (?1, ?2, ?3)")?
        .execute([
            event.tenant.as_str(),
            event.entity.as_str(),
            event.id.as_str(),
        ])?;
    Ok(())
}

/// Whatever log is configured.
#[derive(Debug)]
struct Through(Arc<dyn Log>);

impl Wrapper for Through {
    fn log(&self) -> &dyn Log {
        self.0.as_ref()
    }
}
