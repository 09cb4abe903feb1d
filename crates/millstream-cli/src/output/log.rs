use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::cli::{Cli, Command};

/// Sends the log to stderr: what a service does, warnings of everything else, more by `RUST_LOG`.
pub(crate) fn start_log(cli: &Cli) {
    let serves = matches!(cli.command, Command::Run(_));
    let default = if serves && !cli.global.quiet {
        LevelFilter::INFO
    } else {
        LevelFilter::WARN
    };
    let filter = EnvFilter::builder()
        .with_default_directive(default.into())
        .from_env_lossy();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    if cli.global.json {
        log.json().init();
    } else {
        log.init();
    }
}
