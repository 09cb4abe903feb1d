//! From a server to a server, by the embedded log.

use anyhow::{Result, ensure};

use crate::folder::eventually;
use crate::servers::site::Site;

const MAP: &str = r#"
[[apps.hr.map]]
on = ["user.created", "user.updated"]
table = "employees"
key = { tenant_id = "tenantId", user_id = "entityId" }
set = { email = "data.email", name = "data.name" }

[[apps.hr.map]]
on = ["user.deleted"]
table = "employees"
key = { tenant_id = "tenantId", user_id = "entityId" }
delete = true
"#;

const EMPLOYEES: &str = "CREATE TABLE employees (
    tenant_id VARCHAR(100), user_id VARCHAR(100), email VARCHAR(100), name VARCHAR(20),
    PRIMARY KEY (tenant_id, user_id))";

const INSERT: &str = "INSERT INTO outbox (event_type, tenant_id, entity_id, event_data) VALUES
    ('user.created', 'acme', '8', '{\"name\": \"Bob\"}')";

const TRACKED: &str = "SELECT event_type, entity_id, status FROM event_tracking ORDER BY entity_id";

fn configure(site: &Site, crm: &str, hr: &str) -> Result<()> {
    site.configure(&format!(
        "[transport]\nurl = \"sqlite:events.db\"\n\n[apps.crm]\ndatabase = \"{crm}\"\n\
         publishes = [\"inter-app-events\"]\n\n[apps.hr]\ndatabase = \"{hr}\"\n\
         subscribes = [\"inter-app-events\"]\nconnections = 3\n{MAP}"
    ))
}

/// What every command that looks at databases makes of this pair.
fn check(
    site: &Site,
    crm: impl Fn(&str) -> Result<Vec<String>>,
    hr: impl Fn(&str) -> Result<Vec<String>>,
) -> Result<()> {
    let folder = &site.folder;
    let error = folder.run(&["config", "check"]).failed(3);
    ensure!(error.contains("millstream migrate"), "{error}");
    let pending = folder.run(&["migrate", "--dry-run"]).done()?;
    ensure!(pending.contains("millstream_inbox"), "{pending}");
    ensure!(folder.run(&["migrate"]).done()?.lines().count() == 2);
    ensure!(folder.run(&["migrate"]).done()?.contains("up to date"));

    let error = folder.run(&["config", "check"]).failed(3);
    ensure!(error.contains("employees"), "{error}");
    hr(EMPLOYEES)?;
    folder.run(&["config", "check"]).done()?;

    let mut service = folder.start(&["run"])?;
    let ann = r#"{"email": "ann@example.com", "name": "Ann"}"#;
    folder
        .run(&["publish", "--wait", "user.created", "acme", "7", ann])
        .done()?;
    crm(INSERT)?;
    let employees = "SELECT user_id, email, name FROM employees ORDER BY user_id";
    eventually(|| {
        let rows = hr(employees)?;
        ensure!(rows == ["7|ann@example.com|Ann", "8|NULL|Bob"], "{rows:?}");
        Ok(())
    })?;

    // A value that does not fit is an event's own affair.
    let long = r#"{"name": "a name that does not fit into it"}"#;
    let said = folder.run(&["publish", "--wait", "user.updated", "acme", "7", long]);
    ensure!(said.code == 7, "{said:?}");
    let dead = folder.run(&["dead-letters", "list"]).done()?;
    ensure!(dead.contains("name"), "{dead}");
    ensure!(!dead.contains("does not fit into it"), "{dead}");
    folder
        .run(&["publish", "--wait", "user.deleted", "acme", "8"])
        .done()?;
    ensure!(hr(employees)? == ["7|ann@example.com|Ann"]);
    let tracked = hr(TRACKED)?;
    ensure!(
        tracked.contains(&"user.updated|7|failed".to_owned()),
        "{tracked:?}"
    );
    ensure!(
        tracked.contains(&"user.deleted|8|processed".to_owned()),
        "{tracked:?}"
    );
    let streams = folder.run(&["streams"]).done()?;
    ensure!(streams.contains("hr"), "{streams}");
    let log = service.log()?;
    ensure!(!log.contains("ann@example.com"));
    service.terminate()?;
    Ok(())
}

#[test]
fn from_postgresql_to_mariadb() -> Result<()> {
    let site = Site::new()?;
    configure(&site, &site.postgres_url(), &site.mariadb_url())?;
    check(&site, |sql| site.postgres(sql), |sql| site.mariadb(sql))
}

#[test]
fn from_mariadb_to_postgresql() -> Result<()> {
    let site = Site::new()?;
    configure(&site, &site.mariadb_url(), &site.postgres_url())?;
    check(&site, |sql| site.mariadb(sql), |sql| site.postgres(sql))
}
