//! The log of a process that runs several applications.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::folder::Folder;

/// A second application that follows as HR does.
fn with_payroll() -> Result<Folder> {
    let folder = Folder::ready()?;
    let path = folder.path("millstream.toml");
    let text = fs::read_to_string(&path)?;
    let (_, hr) = text.split_once("[apps.hr]").context("HR")?;
    let payroll = format!("\n[apps.payroll]{hr}")
        .replace("apps.hr", "apps.payroll")
        .replace("hr.db", "payroll.db");
    fs::write(path, text.clone() + &payroll)?;
    folder.make_employees("payroll.db")?;
    folder.run(&["migrate"]).done()?;
    Ok(folder)
}

#[test]
fn each_line_names_its_application() -> Result<()> {
    let folder = with_payroll()?;
    let mut service = folder.begin_with(&["run", "--json"], "millstream_engine=trace")?;
    let long = r#"{"name":"far too long a name for the table"}"#;
    let said = folder.run(&["publish", "--wait", "user.created", "acme", "7", long]);
    ensure!(said.code == 7, "{said:?}");
    // The shared stream is a task of its own.
    let direct = ["publish", "--direct", "user.created", "acme", "8", long];
    folder.run(&direct).done()?;
    service.says("\"inter-app-events\",\"dead\":1")?;
    service.terminate()?;

    let mut told = BTreeSet::new();
    for line in service.log()?.lines() {
        let line: Value = serde_json::from_str(line)?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (part, application) = (&line["span"]["name"], &line["span"]["application"]);
        ensure!(application.is_string(), "{line}");
        let message = text(&line["fields"]["message"]);
        told.insert((text(part), text(application), message));
    }
    let parked = "events parked: see `millstream dead-letters list`";
    for (part, application, message) in [
        ("relay", "crm", "stream acquired"),
        ("relay", "crm", "subscriber registered"),
        ("consumer", "hr", "feed acquired"),
        ("consumer", "hr", parked),
        ("consumer", "payroll", "feed acquired"),
        ("consumer", "payroll", parked),
    ] {
        let line = (part.to_owned(), application.to_owned(), message.to_owned());
        ensure!(told.contains(&line), "{line:?}: {told:?}");
    }
    Ok(())
}

#[test]
fn people_read_it_too_at_any_level() -> Result<()> {
    let folder = with_payroll()?;
    let mut service = folder.begin_with(&["run"], "warn")?;
    let long = r#"{"name":"far too long a name for the table"}"#;
    let said = folder.run(&["publish", "--wait", "user.created", "acme", "7", long]);
    ensure!(said.code == 7, "{said:?}");
    for application in ["hr", "payroll"] {
        service.says(&format!(
            "consumer{{application={application}}}: events parked"
        ))?;
    }
    Ok(())
}
