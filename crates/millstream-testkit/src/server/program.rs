use std::io::Write as _;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context as _, Result, ensure};

/// Runs a program to its end, with this input, and returns what it says.
///
/// # Errors
///
/// If it cannot be started or fails; what it complains about is in the message then.
pub fn run(mut command: Command, input: &[u8]) -> Result<Vec<u8>> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{} does not start", command.get_program().display()))?;
    let mut stdin = child.stdin.take().context("it was piped")?;
    let output = thread::scope(|scope| {
        // It may end before it has read everything; its status says then how it ended.
        scope.spawn(move || stdin.write_all(input).ok());
        child.wait_with_output()
    })?;
    ensure!(
        output.status.success(),
        "{} fails:\n{}",
        command.get_program().display(),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(output.stdout)
}
