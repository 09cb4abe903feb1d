use crate::cli::{Cli, Command};
#[cfg(feature = "redis")]
use crate::commands::acl;
use crate::commands::{
    bench, completions, config, dead_letters, demo, init, migrate, outbox, publish, run, streams,
    tail, trim,
};
use crate::exit_code::Code;

/// Does what was asked.
pub(crate) async fn dispatch(cli: &Cli) -> anyhow::Result<Code> {
    let global = &cli.global;
    match &cli.command {
        Command::Demo(args) => demo::run(global, args).await,
        Command::Init(args) => init::run(global, args),
        Command::Migrate(args) => migrate::run(global, args).await,
        Command::Run(args) => run::run(global, args).await,
        Command::Publish(args) => publish::run(global, args).await,
        Command::Streams(args) => streams::run(global, args).await,
        Command::Trim(args) => trim::run(global, args).await,
        Command::Tail(args) => tail::run(global, args).await,
        Command::DeadLetters(args) => dead_letters::run(global, args).await,
        Command::Outbox(args) => outbox::run(global, args).await,
        #[cfg(feature = "redis")]
        Command::Acl(args) => acl::run(global, args),
        Command::Config(args) => config::run(global, args).await,
        Command::Bench(args) => bench::run(global, args).await,
        Command::Completions { shell } => completions::run(*shell),
    }
}
