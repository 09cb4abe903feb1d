//! The command line of Millstream.
//!
//! [`cli`] says what can be typed, each file in [`commands`] does one of the things, [`output`]
//! shows the results: data on stdout, everything else on stderr.

mod cli;
mod commands;
mod context;
mod exit_code;
mod ndjson;
mod output;
mod shutdown;

/// Events are many small texts, made on one thread and dropped on another: the allocator of the system
/// spends more time on them than everything else together.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;

fn main() -> ExitCode {
    let cli = Cli::parse();
    output::start_log(&cli);
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return output::failure(&cli.global, &error.into()),
    };
    let result = runtime.block_on(commands::dispatch(&cli));
    // A reader of stdin cannot be interrupted; the process need not wait for it.
    runtime.shutdown_background();
    match result {
        Ok(code) => code.into(),
        Err(error) => output::failure(&cli.global, &error),
    }
}
