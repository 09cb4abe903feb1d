//! The application in which things happen.
//!
//! What a CRM would do when somebody is hired, moves, or leaves: change its own rows, and say so in
//! its outbox, in one transaction.

use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use millstream::rusqlite::{self, Connection, Transaction, TransactionBehavior, params};
use millstream::{NewEvent, sqlite};
use serde_json::Value;

/// Events of one transaction.
const EVENTS_MAX: usize = 200;

/// A gap between two transactions, in which the relay gets the file's one write lock.
const GAP: Duration = Duration::from_millis(2);

/// The CRM's own connection to its own database.
pub(super) struct Crm(Connection);

impl Crm {
    pub(super) fn open(dir: &Path) -> anyhow::Result<Self> {
        let path = dir.join("crm.db");
        let db =
            Connection::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        db.busy_timeout(Duration::from_secs(30))?;
        db.pragma_update(None, "synchronous", "full")?;
        Ok(Self(db))
    }

    /// Lets everything happen, a transaction at a time, and tells how many events each was.
    pub(super) fn live(
        &mut self,
        events: impl Iterator<Item = anyhow::Result<NewEvent>>,
        mut happened: impl FnMut(u64),
    ) -> anyhow::Result<()> {
        let mut events = events.peekable();
        while events.peek().is_some() {
            let tx = self
                .0
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut count = 0;
            let mut broken = None;
            for event in events.by_ref().take(EVENTS_MAX) {
                match event {
                    Ok(event) => record(&tx, &event)?,
                    Err(error) => {
                        broken = Some(error);
                        break;
                    }
                }
                count += 1;
            }
            tx.commit().context("crm.db")?;
            happened(count);
            if let Some(error) = broken {
                return Err(error);
            }
            thread::sleep(GAP);
        }
        Ok(())
    }
}

/// Changes the CRM's rows and publishes, unless that was done in an earlier run.
fn record(tx: &Transaction<'_>, event: &NewEvent) -> anyhow::Result<()> {
    if let Some(id) = &event.id {
        let known: bool = tx
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM outbox WHERE event_id = ?1)")?
            .query_row([id.as_str()], |row| row.get(0))?;
        if known {
            return Ok(());
        }
    }
    change(tx, event)?;
    sqlite::publish(tx, event)?;
    Ok(())
}

fn change(tx: &Transaction<'_>, event: &NewEvent) -> anyhow::Result<()> {
    let (tenant, user) = (event.tenant.as_str(), event.entity.as_str());
    let data: Value = serde_json::from_str(event.data.as_str())?;
    let run = |sql: &str, values: &[&dyn rusqlite::ToSql]| -> anyhow::Result<()> {
        tx.prepare_cached(sql)?.execute(values)?;
        Ok(())
    };
    let text = |name: &str| data[name].as_str();
    match event.event_type.as_str() {
        "user.created" | "user.updated" => {
            for (field, column) in [
                ("firstName", "first_name"),
                ("lastName", "last_name"),
                ("email", "email"),
                ("birthDate", "birth_date"),
                ("gender", "gender"),
                ("hireDate", "hire_date"),
            ] {
                if data.get(field).is_some() {
                    let sql = format!(
                        "INSERT INTO users (tenant_id, user_id, {column}) VALUES (?1, ?2, ?3)
                         ON CONFLICT DO UPDATE SET {column} = excluded.{column}"
                    );
                    run(&sql, params![tenant, user, text(field)])?;
                }
            }
            if event.event_type.as_str() == "user.created" {
                run(
                    "INSERT INTO users (tenant_id, user_id, active) VALUES (?1, ?2, 1)
                     ON CONFLICT DO UPDATE SET active = 1",
                    params![tenant, user],
                )?;
            }
            Ok(())
        }
        "user.deleted" => {
            run(
                "DELETE FROM user_departments WHERE tenant_id = ?1 AND user_id = ?2",
                params![tenant, user],
            )?;
            run(
                "DELETE FROM users WHERE tenant_id = ?1 AND user_id = ?2",
                params![tenant, user],
            )
        }
        "role.assigned" => run(
            "INSERT INTO users (tenant_id, user_id, title) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET title = excluded.title",
            params![tenant, user, text("title")],
        ),
        "credit.allocated" => run(
            "INSERT INTO users (tenant_id, user_id, salary) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET salary = excluded.salary",
            params![tenant, user, data["salary"].as_i64()],
        ),
        "org.assigned" => run(
            "INSERT INTO user_departments (tenant_id, user_id, department_id, department, since)
             VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET
             department = excluded.department, since = excluded.since",
            params![
                tenant,
                user,
                text("departmentId"),
                text("department"),
                text("from")
            ],
        ),
        "org.unassigned" => run(
            "DELETE FROM user_departments
             WHERE tenant_id = ?1 AND user_id = ?2 AND department_id = ?3",
            params![tenant, user, text("departmentId")],
        ),
        // The CRM keeps nothing about it, but tells the others.
        _ => Ok(()),
    }
}
