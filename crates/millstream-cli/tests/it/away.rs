//! Lists of several applications while the database of one of them is away.

use std::fs;

use anyhow::{Result, ensure};
use millstream::rusqlite::Connection;
use serde_json::Value;

use crate::folder::{Folder, Said};

/// HR and a second follower, which both have a dead letter and a captured table.
fn ready() -> Result<Folder> {
    let folder = Folder::ready()?;
    let path = folder.path("millstream.toml");
    let text = fs::read_to_string(&path)?;
    let (_, hr) = text.split_once("[apps.hr]").unwrap_or_default();
    let second = format!("\n[apps.payroll]{hr}")
        .replace("apps.hr", "apps.payroll")
        .replace("hr.db", "payroll.db");
    let source = |app: &str| {
        format!(
            "\n[[apps.{app}.source]]\nevent = \"note\"\ntable = \"notes\"\nkey = {{ entityId = \"id\" }}\n"
        )
    };
    let (hr, payroll) = (source("hr"), source("payroll"));
    let second = second.replacen("subscribes", "publishes = [\"notes\"]\nsubscribes", 1);
    let text = text.replace(
        "database = \"sqlite:hr.db\"",
        "database = \"sqlite:hr.db\"\npublishes = [\"notes\"]",
    );
    fs::write(path, format!("{text}{second}{hr}{payroll}"))?;
    folder.make_employees("payroll.db")?;
    folder.run(&["migrate"]).done()?;
    for (app, file) in [("hr", "hr.db"), ("payroll", "payroll.db")] {
        let db = Connection::open(folder.path(file))?;
        db.execute_batch("CREATE TABLE notes (id INTEGER PRIMARY KEY)")?;
        folder
            .run(&["outbox", "capture", "notes", "--app", app])
            .done()?;
    }
    let mut service = folder.start(&["run"])?;
    let long = r#"{"name":"far too long a name for the table"}"#;
    let publish = [
        "publish",
        "--app",
        "crm",
        "--wait",
        "user.created",
        "acme",
        "7",
        long,
    ];
    let said = folder.run(&publish);
    ensure!(said.code == 7, "{said:?}");
    service.terminate()?;
    Ok(folder)
}

/// Payroll's line alone on stdout, HR's problem alone on stderr, and the number of what is away.
fn check(said: &Said) -> Result<()> {
    ensure!(said.code == 5, "{said:?}");
    ensure!(
        said.out.contains("payroll") && !said.out.contains("hr"),
        "{said:?}"
    );
    ensure!(
        said.err.contains("hr: sqlite:hr.db: hr.db does not exist"),
        "{said:?}"
    );
    ensure!(!said.err.contains("payroll"), "{said:?}");
    Ok(())
}

#[test]
fn the_others_are_listed_and_the_one_that_is_away_is_named() -> Result<()> {
    let folder = ready()?;
    fs::remove_file(folder.path("hr.db"))?;
    for list in [["dead-letters", "list"], ["outbox", "captured"]] {
        check(&folder.run(&list))?;
        let said = folder.run(&[&list[..], &["--json"]].concat());
        check(&said)?;
        for text in [&said.out, &said.err] {
            let lines = text.lines().map(serde_json::from_str);
            let lines: Vec<Value> = lines.collect::<Result<_, _>>()?;
            ensure!(lines.len() == 1, "{said:?}");
        }
        ensure!(said.err.contains("\"code\":5"), "{said:?}");

        // What could not be looked at may hold anything.
        let only = folder
            .run(&[&list[..], &["--app", "hr"]].concat())
            .failed(5);
        ensure!(!only.contains("no "), "{only}");
    }
    Ok(())
}
