use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::child::application::Manner;
use crate::child::{application, consumer, publisher, relay};
use crate::history::History;
use crate::site::Site;

/// One process of a run.
#[derive(Debug, Args)]
pub(crate) struct Part {
    /// The folder of the run
    #[arg(long)]
    dir: PathBuf,
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Plays the CRM
    Publisher {
        #[command(flatten)]
        history: History,
        /// Events a second
        #[arg(long)]
        pace: Option<f64>,
        /// Wait after this many events, until a line on stdin names a higher number
        #[arg(long)]
        until: Option<u64>,
    },
    /// Plays a CRM whose database is PostgreSQL
    Application {
        #[command(flatten)]
        history: History,
        /// Where its database is
        #[arg(long)]
        url: String,
        /// Changes its rows and knows nothing of events
        #[arg(long)]
        knows_nothing: bool,
        /// Events a second
        #[arg(long)]
        pace: f64,
        /// Wait after this many events, until a line on stdin names a higher number
        #[arg(long, default_value_t = u64::MAX)]
        until: u64,
    },
    /// Sends CRM's outbox
    Relay,
    /// Applies what arrives for an application
    Consumer {
        application: String,
        /// Seed of what is delivered again
        #[arg(long)]
        seed: u64,
    },
}

/// Plays the part until stdin is closed.
pub(crate) fn run(part: Part) -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let site = Site::at(&part.dir);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    match part.role {
        Role::Publisher {
            history,
            pace,
            until,
        } => publisher::run(&site, &history, pace, until),
        Role::Application {
            history,
            url,
            knows_nothing,
            pace,
            until,
        } => {
            let manner = match knows_nothing {
                true => Manner::KnowsNothing,
                false => Manner::Publishes,
            };
            runtime.block_on(application::run(&url, &history, manner, pace, until))
        }
        Role::Relay => runtime.block_on(relay::run(&site)),
        Role::Consumer { application, seed } => {
            runtime.block_on(consumer::run(&site, &application, seed))
        }
    }
}
