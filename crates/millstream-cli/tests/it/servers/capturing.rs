//! The same table captured on PostgreSQL and on MariaDB, by the command line alone.

use anyhow::{Result, ensure};

use crate::folder::eventually;
use crate::servers::site::Site;

const CONFIGURATION: &str = r#"
[transport]
url = "sqlite:events.db"

[apps.crm]
database = "POSTGRES"
publishes = ["inter-app-events"]

[[apps.crm.source]]
event = "user"
table = "users"
key = { tenantId = "tenant_id", entityId = "id" }
data = { email = "mail", name = "full_name" }

[apps.sales]
database = "MARIADB"
publishes = ["inter-app-events"]

[[apps.sales.source]]
event = "user"
table = "users"
key = { tenantId = "tenant_id", entityId = "id" }
data = { email = "mail", name = "full_name" }

[apps.hr]
database = "sqlite:hr.db"
subscribes = ["inter-app-events"]

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

const USERS: &str = "CREATE TABLE users (
    id INTEGER PRIMARY KEY, tenant_id VARCHAR(20), mail VARCHAR(100), full_name VARCHAR(100))";

const TYPES: &str = "SELECT event_type FROM outbox ORDER BY id";

fn ready() -> Result<Site> {
    let site = Site::new()?;
    let text = CONFIGURATION.replace("POSTGRES", &site.postgres_url());
    site.configure(&text.replace("MARIADB", &site.mariadb_url()))?;
    site.folder.make_employees("hr.db")?;
    site.folder.run(&["migrate"]).done()?;
    site.postgres(USERS)?;
    site.mariadb(USERS)?;
    Ok(site)
}

/// What every command that looks at captures makes of the table of one application. `drops` begins
/// what removes the capture.
fn check(
    site: &Site,
    app: &str,
    tenant: &str,
    drops: &str,
    execute: impl Fn(&str) -> Result<Vec<String>>,
) -> Result<()> {
    let folder = &site.folder;
    let capture = ["outbox", "capture", "users", "--app", app];
    let dry = |args: &[&str]| folder.run(&[args, &["--dry-run"]].concat());
    let captured = || {
        folder
            .run(&["outbox", "captured", "--app", app, "--json"])
            .json()
    };
    let sql = dry(&capture).done()?;
    ensure!(sql.contains("TRIGGER"), "{sql}");
    ensure!(sql.contains("millstream_capture_users"), "{sql}");
    ensure!(captured()?.is_empty());
    let told = folder.run(&capture).done()?;
    ensure!(told.starts_with(&format!("{app}: changes of users are user.created")));
    ensure!(captured()?[0]["problem"].is_null());

    let insert = format!(
        "INSERT INTO users VALUES (1, '{tenant}', 'ann@example.com', 'Ann'), (2, '{tenant}', NULL, 'Bob')"
    );
    for sql in [
        &insert,
        "UPDATE users SET full_name = 'Anna' WHERE id = 1",
        "DELETE FROM users WHERE id = 2",
    ] {
        execute(sql)?;
    }
    let mut service = folder.start(&["run"])?;
    let employees = format!(
        "SELECT user_id || ' ' || email || ' ' || name FROM employees WHERE tenant_id = '{tenant}'"
    );
    eventually(|| {
        let rows = folder.rows("hr.db", &employees)?;
        ensure!(rows == ["1 ann@example.com Anna"], "{rows:?}");
        Ok(())
    })?;
    service.terminate()?;
    let types = [
        "user.created",
        "user.created",
        "user.updated",
        "user.deleted",
    ];
    ensure!(execute(TYPES)? == types, "{:?}", execute(TYPES)?);

    execute("ALTER TABLE users DROP COLUMN mail")?;
    let problem = captured()?[0]["problem"].to_string();
    ensure!(problem.contains("mail"), "{problem}");

    let remove = [&capture[..], &["--remove"]].concat();
    let sql = dry(&remove).done()?;
    ensure!(sql.contains(drops), "{sql}");
    let json = dry(&[&remove[..], &["--json"]].concat()).json()?;
    let statements = json[0]["statements"].as_array().map_or(&[][..], |all| all);
    ensure!(!statements.is_empty(), "{json:?}");
    ensure!(captured()?.len() == 1);
    folder.run(&remove).done()?;
    ensure!(captured()?.is_empty());
    execute(&format!("INSERT INTO users VALUES (3, '{tenant}', 'Eve')"))?;
    ensure!(execute(TYPES)? == types);
    let error = folder.run(&remove).failed(3);
    ensure!(error.contains("is not captured"), "{error}");
    Ok(())
}

#[test]
fn a_table_of_postgresql_is_captured() -> Result<()> {
    let site = ready()?;
    let drops = "DROP FUNCTION IF EXISTS \"public\".\"millstream_capture_users\"() CASCADE;";
    check(&site, "crm", "acme", drops, |sql| site.postgres(sql))
}

#[test]
fn a_table_of_mariadb_is_captured() -> Result<()> {
    let site = ready()?;
    let drops = "DROP TRIGGER IF EXISTS `millstream_capture_users_u`;";
    check(&site, "sales", "globex", drops, |sql| site.mariadb(sql))
}

#[test]
fn a_table_that_several_have_belongs_to_the_one_that_is_named() -> Result<()> {
    let site = ready()?;
    let folder = &site.folder;
    let capture = ["outbox", "capture", "users"];
    let error = folder.run(&capture).failed(3);
    ensure!(
        error.contains("crm, sales have a source for table users: name one of them by --app"),
        "{error}"
    );
    for app in ["crm", "sales"] {
        folder
            .run(&[&capture[..], &["--app", app]].concat())
            .done()?;
    }
    let remove = [&capture[..], &["--remove"]].concat();
    let error = folder.run(&remove).failed(3);
    ensure!(
        error.contains("crm, sales capture a table users: name one of them by --app"),
        "{error}"
    );
    folder
        .run(&[&remove[..], &["--app", "sales"]].concat())
        .done()?;
    folder.run(&remove).done()?;
    ensure!(
        folder
            .run(&["outbox", "captured", "--json"])
            .json()?
            .is_empty()
    );
    Ok(())
}
