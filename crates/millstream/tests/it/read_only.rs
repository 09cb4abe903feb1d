//! Databases that may not be written.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Error;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use millstream::engine::status::Status;

use crate::site::{Site, consume, event, relay};

const NAME: &str = "read_only::a_database_that_was_read_only_at_first_is_used_once_it_is_not";

/// Somebody without rights of his own.
const NOBODY: u32 = 65534;

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    Ok(fs::set_permissions(path, Permissions::from_mode(mode))?)
}

/// Whether permissions hold for us; to root they say nothing.
fn permissions_hold() -> Result<bool> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("file");
    File::create(&path)?;
    set_mode(&path, 0o444)?;
    Ok(OpenOptions::new().write(true).open(&path).is_err())
}

/// Runs this test as somebody else, and returns why that cannot be done.
fn run_as_nobody() -> Result<Option<Error>> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--exact", NAME, "--nocapture"]);
    match command.uid(NOBODY).gid(NOBODY).current_dir("/").output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stdout);
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{said}\n{errors}");
            assert!(said.contains("1 passed"), "{said}");
            Ok(None)
        }
        Err(error) => Ok(Some(error)),
    }
}

#[tokio::test]
async fn a_database_that_was_read_only_at_first_is_used_once_it_is_not() -> Result<()> {
    if !permissions_hold()? {
        if let Some(error) = run_as_nobody()? {
            println!("skipped: permissions do not hold, and nobody cannot run it: {error}");
        }
        return Ok(());
    }
    let site = Site::new().await?;
    let files = ["crm.db", "hr.db"].map(|file| site.path(file));
    site.publish(&[event("a", "1", "Ann")]).await?;
    for file in &files {
        set_mode(file, 0o444)?;
    }
    let relay = relay(&site.crm, &site.transport);
    let consumer = consume(&site.hr, &site.transport);
    let refused = |status: &Status| {
        let paused = status.paused.as_deref();
        paused.is_some_and(|reason| reason.contains("cannot be written"))
    };
    relay.until(refused).await?;
    consumer.until(refused).await?;

    for file in &files {
        set_mode(file, 0o644)?;
    }
    consumer.until(|status| status.counts.total() == 1).await?;
    assert_eq!(site.employees()?, ["acme/1=Ann,-"]);
    consumer.stop().await?;
    relay.stop().await
}
