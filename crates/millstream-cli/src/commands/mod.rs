//! One file for each thing that can be asked.

mod bench;
mod completions;
mod config;
mod dead_letters;
mod demo;
mod init;
mod migrate;
mod publish;
mod run;
mod streams;
mod tail;

use crate::cli::{Cli, Command};
use crate::exit_code::Code;

/// Does what was asked.
pub(crate) async fn run(cli: &Cli) -> anyhow::Result<Code> {
    let global = &cli.global;
    match &cli.command {
        Command::Demo(args) => demo::run(global, args).await,
        Command::Init(args) => init::run(global, args),
        Command::Migrate(args) => migrate::run(global, args).await,
        Command::Run(args) => run::run(global, args).await,
        Command::Publish(args) => publish::run(global, args).await,
        Command::Streams(args) => streams::run(global, args).await,
        Command::Tail(args) => tail::run(global, args).await,
        Command::DeadLetters(args) => dead_letters::run(global, args).await,
        Command::Config(args) => config::run(global, args).await,
        Command::Bench(args) => bench::run(global, args).await,
        Command::Completions { shell } => completions::run(*shell),
    }
}
