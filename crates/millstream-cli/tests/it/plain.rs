//! Events of programs that know nothing about Millstream but the table `outbox`.

use std::process::Command;

use anyhow::{Result, ensure};

use crate::folder::{Folder, eventually};

const INSERT: &str = "INSERT INTO outbox (event_type, tenant_id, entity_id, event_data)
    VALUES ('user.created', 'acme', '7', '{\"name\":\"Ann\"}')";

#[test]
fn a_row_that_the_sqlite3_shell_inserts_arrives() -> Result<()> {
    if Command::new("sqlite3").arg("-version").output().is_err() {
        eprintln!("skipped: the sqlite3 shell is not installed");
        return Ok(());
    }
    let folder = Folder::ready()?;
    let mut service = folder.start(&["run"])?;
    let shell = Command::new("sqlite3")
        .args(["-cmd", ".timeout 10000"])
        .arg(folder.path("crm.db"))
        .arg(INSERT)
        .output()?;
    assert!(
        shell.status.success(),
        "{}",
        String::from_utf8_lossy(&shell.stderr)
    );
    eventually(|| {
        let found = folder.rows("hr.db", "SELECT name FROM employees")?;
        ensure!(found == ["Ann"], "{found:?}");
        Ok(())
    })?;
    let (status, _) = service.terminate()?;
    assert!(status.success());
    Ok(())
}
