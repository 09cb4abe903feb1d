use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::cli::{Cli, Command};

/// Sends the log to stderr: what a service does, warnings of everything else, more by `RUST_LOG`.
pub(crate) fn start_log(cli: &Cli) {
    let default = match cli.command {
        Command::Run(_) if !cli.global.quiet => LevelFilter::INFO,
        // Each round takes the group over from the one before.
        Command::Bench(_) => LevelFilter::ERROR,
        _ => LevelFilter::WARN,
    };
    let filter = EnvFilter::builder()
        .with_default_directive(default.into())
        .from_env_lossy();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        // A log that nobody can read any more is no reason to stop.
        .log_internal_errors(false)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    if cli.global.json {
        log.json().init();
    } else {
        log.init();
    }
}
