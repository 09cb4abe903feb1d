//! A table that is altered while the service runs.

use anyhow::{Result, ensure};

use crate::folder::eventually;
use crate::servers::site::Site;

const EMPLOYEES: &str = "CREATE TABLE employees (
    user_id VARCHAR(100) NOT NULL PRIMARY KEY, email VARCHAR(100))";

const MAP: &str = r#"
[[apps.hr.map]]
on = ["user.updated"]
table = "employees"
key = { user_id = "entityId" }
set = { email = "data.email" }
"#;

/// A unique key that is added changes which row a statement means. No row of another event is ever
/// changed, and the service goes on by itself.
fn check(
    url: &str,
    crm: &str,
    hr: impl Fn(&str) -> Result<Vec<String>>,
    site: &Site,
) -> Result<()> {
    site.configure(&format!(
        "[transport]\nurl = \"sqlite:events.db\"\n\n[apps.crm]\ndatabase = \"{crm}\"\n\
         publishes = [\"inter-app-events\"]\n\n[apps.hr]\ndatabase = \"{url}\"\n\
         subscribes = [\"inter-app-events\"]\n{MAP}"
    ))?;
    let folder = &site.folder;
    folder.run(&["migrate"]).done()?;
    hr(EMPLOYEES)?;
    let mut service = folder.start(&["run"])?;
    let publish = |user: &str, email: &str| {
        let data = format!("{{\"email\": \"{email}\"}}");
        folder
            .run(&["publish", "user.updated", "acme", user, &data])
            .done()
    };
    let employees = || hr("SELECT user_id, email FROM employees ORDER BY user_id");
    let found = |expected: &[&str]| {
        eventually(|| {
            let rows = employees()?;
            ensure!(rows == expected, "{rows:?}");
            Ok(())
        })
    };
    publish("1", "ann@example.com")?;
    found(&["1|ann@example.com"])?;
    hr("CREATE UNIQUE INDEX emails ON employees (email)")?;
    publish("2", "ann@example.com")?;
    publish("3", "cid@example.com")?;
    found(&["1|ann@example.com", "3|cid@example.com"])?;
    hr("ALTER TABLE employees ADD COLUMN note VARCHAR(9)")?;
    publish("1", "eve@example.com")?;
    found(&[
        "1|eve@example.com",
        "2|ann@example.com",
        "3|cid@example.com",
    ])?;
    service.terminate()?;
    Ok(())
}

#[test]
fn on_mariadb() -> Result<()> {
    let site = Site::new()?;
    check(
        &site.mariadb_url(),
        &site.postgres_url(),
        |sql| site.mariadb(sql),
        &site,
    )
}

#[test]
fn on_postgresql() -> Result<()> {
    let site = Site::new()?;
    check(
        &site.postgres_url(),
        &site.mariadb_url(),
        |sql| site.postgres(sql),
        &site,
    )
}
