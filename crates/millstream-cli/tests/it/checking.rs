//! `config check`: everything that does not fit, at once, and nothing of it changed.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use millstream::rusqlite::Connection;
use serde_json::Value;

use crate::folder::{Folder, Said};

const CHECK: [&str; 2] = ["config", "check"];

const SOURCES: &str = r#"
[[apps.crm.source]]
event = "user"
table = "users"
key = { tenantId = "tenant_id", entityId = "id" }
data = { email = "mail", name = "full_name" }

[[apps.crm.source]]
event = "order"
table = "orders"
key = { entityId = "id" }
"#;

const TABLES: &str = "
    CREATE TABLE users (id INTEGER PRIMARY KEY, tenant_id TEXT NOT NULL, mail TEXT, full_name TEXT);
    CREATE TABLE orders (id INTEGER PRIMARY KEY, amount TEXT)";

/// As `init` and `migrate` leave it, with two tables that CRM's events describe.
fn ready() -> Result<Folder> {
    let folder = Folder::ready()?;
    Connection::open(folder.path("crm.db"))?.execute_batch(TABLES)?;
    let path = folder.path("millstream.toml");
    let text = fs::read_to_string(&path)?;
    fs::write(path, text + SOURCES)?;
    Ok(folder)
}

/// What `--json` says on stdout, which is one object however the command ends.
fn object(said: &Said) -> Result<Value> {
    serde_json::from_str(&said.out).with_context(|| format!("{said:?}"))
}

/// Each problem's application and number.
fn told(value: &Value) -> Vec<(Option<&str>, u64)> {
    let problems = value["problems"].as_array().into_iter().flatten();
    problems
        .map(|one| (one["app"].as_str(), one["code"].as_u64().unwrap_or(0)))
        .collect()
}

#[test]
fn everything_that_does_not_fit_is_told_at_once() -> Result<()> {
    let folder = ready()?;
    let mut service = folder.start(&["run"])?;
    folder
        .run(&["publish", "--wait", "user.created", "acme", "7"])
        .done()?;
    service.terminate()?;
    folder.configure(
        "wrong.toml",
        &[
            ("shards = 4 ", "shards = 2 "),
            ("name = \"full_name\" }", "name = \"fullname\" }"),
            ("table = \"orders\"", "table = \"order\""),
            ("on = [\"user.deleted\"]", "on = [\"user.*.deleted\"]"),
            ("email = \"data.email\"", "e_mail = \"data.email\""),
        ],
    )?;
    let check = [&CHECK[..], &["-c", "wrong.toml"]].concat();
    let error = folder.run(&check).failed(3);
    for expected in [
        "table users has no column fullname; it has id, tenant_id, mail, full_name",
        "there is no table order",
        "user.*.deleted",
        "e_mail",
        "crm: inter-app-events has 4 shards and cannot be changed to 2",
    ] {
        ensure!(error.contains(expected), "{expected}: {error}");
    }
    let at = |text: &str| -> Result<usize> {
        let file = fs::read_to_string(folder.path("wrong.toml"))?;
        let line = file.lines().position(|line| line.contains(text));
        Ok(line.context("it is there")? + 1)
    };
    for text in [
        "table = \"users\"",
        "table = \"order\"",
        "user.*.deleted",
        "e_mail =",
    ] {
        let place = format!("wrong.toml:{}:", at(text)?);
        ensure!(error.contains(&place), "{place} {error}");
    }

    let said = folder.run(&[&check[..], &["--json"]].concat());
    ensure!(said.code == 3, "{said:?}");
    let value = object(&said)?;
    ensure!(
        value["ok"] == false && value["databases"][1] == "hr",
        "{value}"
    );
    let problems = told(&value);
    let (crm, hr) = (Some("crm"), Some("hr"));
    ensure!(
        problems == [(crm, 3), (crm, 3), (crm, 4), (hr, 3), (hr, 3)],
        "{value}"
    );
    for line in said.err.lines() {
        let line: Value = serde_json::from_str(line)?;
        ensure!(line["error"].is_string(), "{line}");
    }

    // Another number of shards alone is what `run` refuses, by the same number.
    folder.configure("shards.toml", &[("shards = 4 ", "shards = 2 ")])?;
    folder
        .run(&[&CHECK[..], &["-c", "shards.toml"]].concat())
        .failed(4);
    ensure!(folder.run(&["run", "-c", "shards.toml"]).code == 4);
    folder.run(&CHECK).done()?;
    Ok(())
}

#[test]
fn a_table_that_is_not_captured_is_remarked_on() -> Result<()> {
    let folder = ready()?;
    let hint = |table: &str| {
        format!(
            "crm: changes of table {table} are no events: \
             `millstream outbox capture {table} --app crm` makes them some"
        )
    };
    let said = folder.run(&CHECK);
    ensure!(said.code == 0, "{said:?}");
    for table in ["users", "orders"] {
        ensure!(said.err.contains(&hint(table)), "{said:?}");
    }
    folder
        .run(&["outbox", "capture", "users", "--app", "crm"])
        .done()?;
    let value = object(&folder.run(&[&CHECK[..], &["--json"]].concat()))?;
    ensure!(value["ok"] == true, "{value}");
    ensure!(
        value["remarks"] == serde_json::json!([hint("orders")]),
        "{value}"
    );
    // Nobody would get the events of an application that publishes nothing.
    folder.configure("mute.toml", &[("publishes = [\"inter-app-events\"]", "")])?;
    let said = folder.run(&[&CHECK[..], &["-c", "mute.toml"]].concat());
    ensure!(!said.err.contains("outbox capture"), "{said:?}");
    Ok(())
}

#[test]
fn what_is_away_hides_nothing_of_the_rest() -> Result<()> {
    let folder = ready()?;
    fs::remove_file(folder.path("crm.db"))?;
    folder.configure(
        "wrong.toml",
        &[("table = \"employees\"", "table = \"staff\"")],
    )?;
    let error = folder
        .run(&[&CHECK[..], &["-c", "wrong.toml"]].concat())
        .failed(3);
    ensure!(error.contains("crm.db does not exist"), "{error}");
    ensure!(error.contains("table `staff` does not exist"), "{error}");

    folder.run(&CHECK).failed(5);
    let said = folder.run(&[&CHECK[..], &["--json"]].concat());
    ensure!(said.code == 5, "{said:?}");
    let value = object(&said)?;
    ensure!(value["databases"] == serde_json::json!(["hr"]), "{value}");
    ensure!(told(&value) == [(Some("crm"), 5)], "{value}");

    // Nor does a transport that cannot be used.
    let transport = ("sqlite:events.db", "sqlite:nowhere/at/all/events.db");
    let table = ("table = \"employees\"", "table = \"staff\"");
    folder.configure("away.toml", &[transport, table])?;
    fs::write(folder.path("nowhere"), "a file is no folder")?;
    let error = folder
        .run(&[&CHECK[..], &["-c", "away.toml"]].concat())
        .failed(3);
    ensure!(error.contains("table `staff` does not exist"), "{error}");
    ensure!(error.contains("the transport"), "{error}");
    Ok(())
}
