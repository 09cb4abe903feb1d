//! The shared memory by which a PostgreSQL guards its data folder. One that was killed leaves it behind,
//! and a machine has only some thousand of them.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Gives back what a server that was killed had in its data folder's name, if there is any.
pub(super) fn free(data: &Path) {
    // The seventh line of its file holds key and id
    // (<https://www.postgresql.org/docs/current/storage-file-layout.html>, `miscadmin.h`).
    let Ok(lines) = fs::read_to_string(data.join("postmaster.pid")) else {
        return;
    };
    let id = lines
        .lines()
        .nth(6)
        .and_then(|line| line.split_whitespace().nth(1));
    if let Some(id) = id.filter(|id| id.bytes().all(|byte| byte.is_ascii_digit())) {
        // It is gone already where the server ended by itself.
        Command::new("ipcrm").args(["-m", id]).output().ok();
    }
}
