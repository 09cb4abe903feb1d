//! `publish --wait`: how the event ended at each follower, or that it did not in time.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use millstream::rusqlite::Connection;
use serde_json::{Value, json};

use crate::folder::{Folder, Said};

/// HR and two that follow as it does.
fn ready() -> Result<Folder> {
    let folder = Folder::ready()?;
    let path = folder.path("millstream.toml");
    let mut text = fs::read_to_string(&path)?;
    let (_, hr) = text.split_once("[apps.hr]").context("HR")?;
    let hr = hr.to_owned();
    for app in ["payroll", "support"] {
        let section = format!("\n[apps.{app}]{hr}").replace("apps.hr", &format!("apps.{app}"));
        text += &section.replace("hr.db", &format!("{app}.db"));
        folder.make_employees(&format!("{app}.db"))?;
    }
    fs::write(path, text)?;
    folder.run(&["migrate"]).done()?;
    Ok(folder)
}

const EVENT: [&str; 7] = [
    "publish",
    "--wait",
    "--timeout",
    "1",
    "user.created",
    "acme",
    "7",
];

fn lines(said: &Said) -> Result<Vec<Value>> {
    let lines = said.out.lines().skip(1).map(serde_json::from_str);
    lines.collect::<Result<_, _>>().context(said.out.clone())
}

#[test]
fn each_follower_that_is_late_is_named() -> Result<()> {
    let folder = ready()?;
    let said = folder.run(&EVENT);
    ensure!(said.code == 6, "{said:?}");
    for app in ["hr", "payroll", "support"] {
        ensure!(
            said.out.contains(&format!("{app}: not settled\n")),
            "{said:?}"
        );
        let told = format!("{app} has not settled it within 1 s");
        ensure!(said.err.contains(&told), "{said:?}");
    }

    let mut service = folder.start(&["run", "--app", "crm", "--app", "payroll"])?;
    let before = [
        "publish",
        "--wait",
        "--target",
        "payroll",
        "user.created",
        "acme",
        "7",
    ];
    ensure!(folder.run(&before).done()?.ends_with("payroll: applied\n"));
    let said = folder.run(&[&EVENT[..], &["--json"]].concat());
    ensure!(said.code == 6, "{said:?}");
    ensure!(
        lines(&said)?
            == [
                json!({ "app": "hr", "outcome": null }),
                json!({ "app": "payroll", "outcome": "applied" }),
                json!({ "app": "support", "outcome": null }),
            ],
        "{said:?}"
    );
    service.terminate()?;
    Ok(())
}

#[test]
fn one_that_conflicts_or_is_away_hides_no_other() -> Result<()> {
    let folder = ready()?;
    Connection::open(folder.path("hr.db"))?.execute_batch(
        "CREATE UNIQUE INDEX names ON employees (name);
         INSERT INTO employees (tenant_id, user_id, name) VALUES ('acme', '1', 'Ann')",
    )?;
    let mut service = folder.start(&["run"])?;
    let before = [
        "publish",
        "--wait",
        "--target",
        "support",
        "user.created",
        "acme",
        "9",
    ];
    folder.run(&before).done()?;
    let named = [&EVENT[..], &[r#"{"name":"Ann"}"#, "--json"]].concat();
    let said = folder.run(&named);
    ensure!(said.code == 6, "{said:?}");
    ensure!(
        lines(&said)?
            == [
                json!({ "app": "hr", "outcome": "retrying" }),
                json!({ "app": "payroll", "outcome": "applied" }),
                json!({ "app": "support", "outcome": "applied" }),
            ],
        "{said:?}"
    );
    service.terminate()?;

    fs::remove_file(folder.path("payroll.db"))?;
    let said = folder.run(&EVENT);
    ensure!(said.code == 5, "{said:?}");
    ensure!(said.err.contains("payroll: sqlite:payroll.db"), "{said:?}");
    for app in ["hr", "support"] {
        ensure!(
            said.out.contains(&format!("{app}: not settled\n")),
            "{said:?}"
        );
    }
    Ok(())
}
