use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use millstream::CancellationToken;
use millstream::postgres;
use millstream::postgres::tokio_postgres::types::ToSql;
use millstream::postgres::tokio_postgres::{Client, Transaction};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;

use crate::child::pulse::Pulse;
use crate::child::stop;
use crate::databases::connect;
use crate::history::{Happening, History};

/// Events of one transaction.
const EVENTS_MAX: usize = 40;

/// One in so many transactions is rolled back, and done again.
const ROLLED_BACK_ONE_IN: u32 = 20;

/// How often an application that has nothing to do, or no server, looks again.
const IDLE_INTERVAL: Duration = Duration::from_millis(10);

/// What an application does on PostgreSQL.
#[derive(Debug, Clone, Copy)]
pub(super) enum Manner {
    /// Publishes what happens, in the transaction that changes its rows.
    Publishes,
    /// Changes its rows, and knows nothing of events.
    KnowsNothing,
}

/// Lets the history happen, from where the database says that it got to, as far as it may. A server
/// that goes away is waited for.
pub(super) async fn run(
    url: &str,
    history: &History,
    manner: Manner,
    pace: f64,
    until: u64,
) -> anyhow::Result<()> {
    let until = Arc::new(AtomicU64::new(until));
    let stop = stop::listen(until.clone());
    let mut application = Application {
        history,
        manner,
        pace,
        until,
        pulse: Pulse::default(),
    };
    while !stop.is_cancelled() {
        // It says what it could not do when nothing happens any more.
        if let Err(error) = application.live(url, &stop).await {
            tracing::warn!("{error:#}");
        }
        tokio::time::sleep(IDLE_INTERVAL).await;
    }
    Ok(())
}

struct Application<'a> {
    history: &'a History,
    manner: Manner,
    pace: f64,
    until: Arc<AtomicU64>,
    pulse: Pulse,
}

impl Application<'_> {
    /// As long as its connection lasts.
    async fn live(&mut self, url: &str, stop: &CancellationToken) -> anyhow::Result<()> {
        let mut db = connect(url).await?;
        let row = db.query_one("SELECT happened FROM progress", &[]).await?;
        let mut happened = row.get::<_, i64>(0).unsigned_abs();
        let mut random = StdRng::seed_from_u64(self.history.seed.unwrap_or_default() ^ happened);
        let mut events = self.history.open()?.skip(usize::try_from(happened)?);
        while !stop.is_cancelled() {
            let left = self.until.load(Ordering::Relaxed).saturating_sub(happened);
            let count = random.random_range(1..=EVENTS_MAX);
            let count = count.min(usize::try_from(left).unwrap_or(usize::MAX));
            let happenings: Vec<Happening> =
                events.by_ref().take(count).collect::<Result<_, _>>()?;
            if happenings.is_empty() {
                tokio::time::sleep(IDLE_INTERVAL).await;
                continue;
            }
            if random.random_range(0..ROLLED_BACK_ONE_IN) == 0 {
                self.transact(&mut db, &happenings, false).await?;
            }
            self.transact(&mut db, &happenings, true).await?;
            let done = happenings.len();
            happened += done as u64;
            self.pulse.done += done as u64;
            self.pulse.say()?;
            let rest = f64::from(u32::try_from(done)?) / self.pace;
            tokio::time::sleep(Duration::from_secs_f64(rest)).await;
        }
        Ok(())
    }

    async fn transact(
        &self,
        db: &mut Client,
        happenings: &[Happening],
        commits: bool,
    ) -> anyhow::Result<()> {
        let tx = db.transaction().await?;
        for happening in happenings {
            match self.manner {
                Manner::Publishes => publish(&tx, happening).await?,
                Manner::KnowsNothing => change(&tx, happening).await?,
            }
        }
        let count = i64::try_from(happenings.len())?;
        tx.execute("UPDATE progress SET happened = happened + $1", &[&count])
            .await?;
        match commits {
            true => Ok(tx.commit().await?),
            false => Ok(tx.rollback().await?),
        }
    }
}

/// Changes CRM's own row and publishes, in one transaction.
async fn publish(tx: &Transaction<'_>, happening: &Happening) -> anyhow::Result<()> {
    tx.execute(
        "INSERT INTO users (tenant_id, user_id, events) VALUES ($1, $2, 1)
         ON CONFLICT (tenant_id, user_id) DO UPDATE SET events = users.events + 1",
        &[&happening.tenant, &happening.entity],
    )
    .await?;
    postgres::publish(tx, &happening.event()?).await?;
    Ok(())
}

/// Changes rows as an application does that is years older than Millstream.
async fn change(tx: &Transaction<'_>, happening: &Happening) -> anyhow::Result<()> {
    let data: Value = serde_json::from_str(&happening.data)?;
    let (tenant, user) = (&happening.tenant, &happening.entity);
    let text = |field: &str| data.get(field).and_then(Value::as_str);
    let assignment = || {
        let department = text("departmentId").unwrap_or_default();
        format!("{tenant}/{user}/{department}")
    };
    match happening.kind.as_str() {
        "user.created" | "user.updated" => {
            tx.execute(PERSON, &[tenant, user]).await?;
            for (column, field) in COLUMNS {
                let Some(value) = data.get(field) else {
                    continue;
                };
                let sql =
                    format!("UPDATE people SET {column} WHERE tenant_id = $1 AND user_id = $2");
                tx.execute(&sql, &[tenant, user, &value.as_str()]).await?;
            }
        }
        "role.assigned" => {
            tx.execute(PERSON, &[tenant, user]).await?;
            let sql = "UPDATE people SET title = $3 WHERE tenant_id = $1 AND user_id = $2";
            tx.execute(sql, &[tenant, user, &text("title")]).await?;
        }
        "credit.allocated" => {
            tx.execute(PERSON, &[tenant, user]).await?;
            let salary = data["salary"].as_i64().map(i32::try_from).transpose()?;
            let sql = "UPDATE people SET salary = $3 WHERE tenant_id = $1 AND user_id = $2";
            tx.execute(sql, &[tenant, user, &salary]).await?;
        }
        "org.assigned" => {
            let values: [&(dyn ToSql + Sync); 6] = [
                &assignment(),
                tenant,
                user,
                &text("departmentId"),
                &text("department"),
                &text("from"),
            ];
            tx.execute(ASSIGNMENT, &values).await?;
        }
        "org.unassigned" => {
            tx.execute("DELETE FROM assignments WHERE id = $1", &[&assignment()])
                .await?;
        }
        "user.deleted" => {
            for table in ["assignments", "people"] {
                let sql = format!("DELETE FROM {table} WHERE tenant_id = $1 AND user_id = $2");
                tx.execute(&sql, &[tenant, user]).await?;
            }
        }
        other => anyhow::bail!("{}: nobody knows what {other} does", happening.event_id()),
    }
    Ok(())
}

/// What an update sets, and the field that it comes from.
const COLUMNS: [(&str, &str); 6] = [
    ("first_name = $3", "firstName"),
    ("last_name = $3", "lastName"),
    ("email = $3", "email"),
    ("birth_date = $3::text::date", "birthDate"),
    ("gender = $3", "gender"),
    ("hire_date = $3::text::date", "hireDate"),
];

const PERSON: &str =
    "INSERT INTO people (tenant_id, user_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";

const ASSIGNMENT: &str =
    "INSERT INTO assignments (id, tenant_id, user_id, department_id, department, since)
     VALUES ($1, $2, $3, $4, $5, $6::text::date)
     ON CONFLICT (id) DO UPDATE SET department = excluded.department, since = excluded.since";
