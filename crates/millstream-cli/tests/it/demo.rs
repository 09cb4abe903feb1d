//! `millstream demo`: four databases in a folder, and the proof that they agree.

use std::fs;

use anyhow::Result;
use serde_json::Value;

use crate::folder::Folder;

#[test]
fn a_small_demo_agrees_and_again_changes_nothing() -> Result<()> {
    let folder = Folder::empty()?;
    let demo = ["demo", "--dir", "d", "--count", "50"];
    let said = folder.run(&demo);
    assert_eq!(said.code, 0, "{said:?}");
    let rows: Vec<_> = said
        .out
        .lines()
        .filter(|line| line.contains("yes"))
        .collect();
    assert_eq!(rows.len(), 3, "{}", said.out);
    for next in [
        "sqlite3 d/hr.db",
        "millstream run --config d/",
        "millstream publish --config d/",
    ] {
        assert!(said.err.contains(next), "{}", said.err);
    }
    let applied = |folder: &Folder| {
        folder.rows(
            "d/hr.db",
            "SELECT event_id || applied_at FROM event_tracking ORDER BY 1",
        )
    };
    let first = applied(&folder)?;
    assert!(first.len() > 100, "{}", first.len());

    let again = folder.run(&[&demo[..], &["--json"]].concat()).json()?;
    assert_eq!(applied(&folder)?, first);
    assert_eq!(again.len(), 3);
    for row in &again {
        let clean = row["agrees"] == true && row["differences"] == 0 && row["dead"] == 0;
        assert!(clean && row["rows"].as_u64() > Some(0), "{row}");
    }

    // Every later command works on the folder.
    let config = ["--config", "d/millstream.toml"];
    folder
        .run(&[&config[..], &["config", "check"]].concat())
        .done()?;
    let tail = folder
        .run(&[&config[..], &["tail", "-n", "5", "--json"]].concat())
        .json()?;
    assert_eq!(tail.len(), 5);
    Ok(())
}

#[test]
fn what_does_not_agree_is_said_by_the_exit_code() -> Result<()> {
    let folder = Folder::empty()?;
    let demo = ["demo", "--dir", "d", "--count", "10", "--json"];
    folder.run(&demo).done()?;
    folder.rows(
        "d/hr.db",
        "UPDATE employees SET title = 'changed by hand' RETURNING user_id",
    )?;
    let said = folder.run(&demo);
    assert_eq!(said.code, 6, "{said:?}");
    let hr: Value = serde_json::from_str(said.out.lines().next().unwrap_or_default())?;
    assert_eq!(
        (hr["application"].as_str(), &hr["agrees"]),
        (Some("hr"), &Value::Bool(false))
    );
    Ok(())
}

#[test]
fn dead_letters_are_pointed_at() -> Result<()> {
    let folder = Folder::empty()?;
    let line = |data: &str| {
        format!(
            r#"{{"eventType":"credit.allocated","tenantId":"acme","entityId":"1","eventData":{data}}}"#
        )
    };
    let lines = [line(r#"{"salary":"hunter2"}"#), line(r#"{"salary":1}"#)];
    fs::write(folder.path("events.ndjson"), lines.join("\n"))?;
    let demo = ["demo", "--dir", "d", "--events", "events.ndjson"];
    let said = folder.run(&demo);
    assert!(
        said.err.contains(
            "hr has 1 dead and 1 blocked: see millstream dead-letters list --app hr \
             --config d/millstream.toml"
        ),
        "{said:?}"
    );
    assert!(!said.err.contains("hunter2"), "{said:?}");
    let see = ["dead-letters", "list", "--config", "d/millstream.toml"];
    assert!(folder.run(&see).done()?.contains("blocked"));

    let clean = folder.run(&["demo", "--dir", "clean", "--count", "5"]);
    assert!(!clean.err.contains("dead-letters"), "{clean:?}");
    Ok(())
}

#[test]
fn somebody_elses_folder_is_refused() -> Result<()> {
    let folder = Folder::ready()?;
    let before = fs::read(folder.path("crm.db"))?;
    let error = folder.run(&["demo", "--dir", "."]).failed(4);
    assert!(
        error.contains("choose another folder with --dir"),
        "{error}"
    );
    fs::remove_file(folder.path("millstream.toml"))?;
    let error = folder.run(&["demo", "--dir", "."]).failed(4);
    assert!(error.contains("crm.db is there already"), "{error}");
    assert_eq!(fs::read(folder.path("crm.db"))?, before);
    assert!(!folder.path("millstream.toml").exists());
    Ok(())
}
