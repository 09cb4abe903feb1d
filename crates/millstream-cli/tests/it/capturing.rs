//! Tables of applications that know nothing of events.

use anyhow::{Result, ensure};
use millstream::rusqlite::Connection;

use crate::folder::{Folder, eventually};

const SOURCE: &str = r#"
[[apps.crm.source]]
event = "user"
table = "users"
key = { tenantId = "tenant_id", entityId = "id" }
data = { email = "mail", name = "full_name" }
"#;

const USERS: &str = "CREATE TABLE users (
    id INTEGER PRIMARY KEY, tenant_id TEXT NOT NULL, mail TEXT, full_name TEXT, secret TEXT)";

fn ready() -> Result<Folder> {
    let folder = Folder::ready()?;
    let path = folder.path("millstream.toml");
    let text = std::fs::read_to_string(&path)?;
    std::fs::write(path, text + SOURCE)?;
    change(&folder, USERS)?;
    Ok(folder)
}

fn change(folder: &Folder, sql: &str) -> Result<()> {
    let db = Connection::open(folder.path("crm.db"))?;
    db.busy_timeout(std::time::Duration::from_secs(10))?;
    Ok(db.execute_batch(sql)?)
}

#[test]
fn a_key_that_names_several_rows_is_told() -> Result<()> {
    let folder = ready()?;
    let told = folder.run(&["outbox", "capture", "users"]);
    ensure!(!told.err.contains("tell rows apart"), "{}", told.err);
    change(
        &folder,
        "DROP TABLE users; CREATE TABLE users (id INTEGER, tenant_id TEXT, mail TEXT, full_name TEXT)",
    )?;
    let told = folder.run(&["outbox", "capture", "users"]);
    ensure!(told.code == 0, "{}", told.err);
    ensure!(
        told.err
            .contains("no unique key says that tenant_id and id tell rows apart"),
        "{}",
        told.err
    );
    Ok(())
}

#[test]
fn a_captured_table_is_followed() -> Result<()> {
    let folder = ready()?;
    let sql = folder
        .run(&["outbox", "capture", "users", "--dry-run"])
        .done()?;
    ensure!(sql.contains("CREATE TRIGGER"), "{sql}");
    ensure!(
        folder
            .run(&["outbox", "captured", "--json"])
            .json()?
            .is_empty()
    );
    let told = folder.run(&["outbox", "capture", "users"]).done()?;
    ensure!(
        told.contains("user.created, user.updated, user.deleted"),
        "{told}"
    );

    change(
        &folder,
        "INSERT INTO users VALUES (1, 'acme', 'ann@example.com', 'Ann', 's'), (2, 'acme', NULL, 'Bob', 's');
         UPDATE users SET full_name = 'Anna' WHERE id = 1;
         UPDATE users SET secret = 't';
         DELETE FROM users WHERE id = 2",
    )?;
    let mut service = folder.start(&["run"])?;
    eventually(|| {
        let sql = "SELECT user_id || ' ' || email || ' ' || name FROM employees";
        let rows = folder.rows("hr.db", sql)?;
        ensure!(rows == ["1 ann@example.com Anna"], "{rows:?}");
        Ok(())
    })?;
    ensure!(folder.outbox()?.len() == 4, "{:?}", folder.outbox()?);
    service.terminate()?;
    Ok(())
}

#[test]
fn a_table_that_has_changed_is_told_about() -> Result<()> {
    let folder = ready()?;
    folder.run(&["outbox", "capture", "users"]).done()?;
    folder.run(&["config", "check"]).done()?;
    // What is captured is named: another column is nothing to it.
    change(&folder, "ALTER TABLE users ADD COLUMN age INTEGER")?;
    let listed = folder.run(&["outbox", "captured"]).done()?;
    ensure!(listed.contains("ok"), "{listed}");
    change(&folder, "DROP TRIGGER millstream_capture_users_u")?;

    let listed = folder.run(&["outbox", "captured", "--json"]).json()?;
    let problem = listed[0]["problem"].as_str().unwrap_or_default().to_owned();
    ensure!(
        problem.contains("triggers of ours are missing"),
        "{problem}"
    );
    let checked = folder.run(&["config", "check"]);
    ensure!(checked.err.contains(&problem), "{checked:?}");
    let mut service = folder.begin(&["run"])?;
    service.says("a captured table has changed")?;
    service.terminate()?;
    folder.run(&["outbox", "capture", "users"]).done()?;
    ensure!(folder.run(&["outbox", "captured", "--json"]).json()?[0]["problem"].is_null());
    Ok(())
}

#[test]
fn a_capture_is_removed() -> Result<()> {
    let folder = ready()?;
    let remove = ["outbox", "capture", "users", "--remove"];
    let error = folder.run(&remove).failed(3);
    ensure!(error.contains("table users is not captured"), "{error}");
    folder.run(&["outbox", "capture", "users"]).done()?;
    let told = folder.run(&[&remove[..], &["--dry-run"]].concat()).done()?;
    ensure!(
        told.contains("DROP TRIGGER IF EXISTS \"millstream_capture_users_i\";"),
        "{told}"
    );
    folder.run(&remove).done()?;
    change(
        &folder,
        "INSERT INTO users (id, tenant_id) VALUES (1, 'acme')",
    )?;
    ensure!(folder.outbox()?.is_empty());
    Ok(())
}

#[test]
fn what_cannot_be_captured_says_why() -> Result<()> {
    let folder = ready()?;
    for (args, expected) in [
        (
            &["outbox", "capture", "people"][..],
            "no [[apps.NAME.source]] is for table people; there are those of users",
        ),
        (
            &["outbox", "capture", "users", "--app", "hr"],
            "there is none",
        ),
        (
            &["outbox", "capture", "users", "--app", "sales"],
            "no application \"sales\"",
        ),
    ] {
        let error = folder.run(args).failed(3);
        ensure!(error.contains(expected), "{error}");
    }
    change(&folder, "DROP TABLE users")?;
    let error = folder.run(&["outbox", "capture", "users"]).failed(3);
    ensure!(error.contains("there is no table users"), "{error}");

    folder.configure("wrong.toml", &[("entityId = \"id\"", "id = \"id\"")])?;
    let error = folder
        .run(&["-c", "wrong.toml", "config", "check"])
        .failed(3);
    ensure!(error.contains("id does not identify a row"), "{error}");
    folder.configure("twice.toml", &[(SOURCE, &format!("{SOURCE}{SOURCE}"))])?;
    let error = folder
        .run(&["-c", "twice.toml", "config", "check"])
        .failed(3);
    ensure!(error.contains("table users has two sources"), "{error}");
    folder.configure("mute.toml", &[("publishes = [\"inter-app-events\"]", "")])?;
    change(&folder, USERS)?;
    let error = folder
        .run(&["-c", "mute.toml", "outbox", "capture", "users"])
        .failed(3);
    ensure!(error.contains("publishes to no stream"), "{error}");
    Ok(())
}
