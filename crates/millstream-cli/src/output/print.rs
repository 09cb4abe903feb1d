use std::io::{self, Write};
use std::process::ExitCode;

use serde::Serialize;

use crate::cli::Global;
use crate::exit_code::{self, Code};
use crate::output::escape_json;

/// Prints a line of data. A reader that has gone, as in `millstream streams | head -1`, is no error.
pub(crate) fn line(text: impl std::fmt::Display) -> io::Result<()> {
    match writeln!(io::stdout().lock(), "{text}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Prints a value as one line of JSON, without control characters.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    Ok(line(escape_json(&serde_json::to_string(value)?))?)
}

/// Prints a value as JSON over several lines, for people.
pub(crate) fn pretty(value: &impl Serialize) -> anyhow::Result<()> {
    Ok(line(escape_json(&serde_json::to_string_pretty(value)?))?)
}

/// Prints a remark for people on stderr.
pub(crate) fn remark(global: &Global, text: impl std::fmt::Display) {
    if !global.quiet && !global.json {
        // Nobody is left to be told if stderr is closed.
        writeln!(io::stderr().lock(), "{text}").ok();
    }
}

/// Says what went wrong, and ends with the number for it.
pub(crate) fn failure(global: &Global, error: &anyhow::Error) -> ExitCode {
    let code = exit_code::of(error);
    self::error(global, error, code);
    code.into()
}

/// Says what went wrong, with the number for it.
pub(super) fn error(global: &Global, error: &anyhow::Error, code: Code) {
    let message = format!("{error:#}");
    let text = if global.json {
        serde_json::json!({ "error": message, "code": code as u8 }).to_string()
    } else if message.starts_with("error") {
        message
    } else {
        format!("error: {message}")
    };
    writeln!(io::stderr().lock(), "{text}").ok();
}
