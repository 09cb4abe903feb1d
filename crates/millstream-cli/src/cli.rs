//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Keeps the databases of several applications in step.
#[derive(Debug, Parser)]
#[command(name = "millstream", version, about, propagate_version = true, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 configuration, tables or \
    input cannot be used, 4 refused, 5 a database or the transport is away, 6 databases differ, 7 an \
    event could not be applied";

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// The configuration file
    #[arg(
        long,
        short,
        global = true,
        value_name = "FILE",
        default_value = "millstream.toml"
    )]
    pub(crate) config: PathBuf,
    /// Print JSON on stdout, and JSON lines of the log on stderr
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print less on stderr: no progress, only warnings
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run four applications in a folder, and prove at the end that their databases agree
    Demo(Demo),
    /// Write a configuration file to start from
    Init(Init),
    /// Make our tables in the applications' databases
    Migrate(Migrate),
    /// Send outboxes and apply what arrives, until stopped
    Run(Run),
    /// Publish one event, or many from a file or stdin
    Publish(Publish),
    /// Show streams, their shards, how far each application is, and who holds what back
    Streams(Streams),
    /// Show the last events of a stream
    Tail(Tail),
    /// Remove now from streams what every application has settled
    Trim(Trim),
    /// Look at events that could not be applied, and those that wait behind them
    #[command(subcommand)]
    DeadLetters(DeadLetters),
    /// Turn changes of an application's own tables into events
    #[command(subcommand)]
    Outbox(Outbox),
    /// Print what users of a Redis need to be allowed, for each role
    #[cfg(feature = "redis")]
    Acl(Acl),
    /// Look at the configuration
    #[command(subcommand)]
    Config(Config),
    /// Measure this machine: one consumer against the floor under it
    Bench(Bench),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// The folder for databases, log and configuration; made if it is missing
    #[arg(long, default_value = "millstream-demo")]
    pub(crate) dir: PathBuf,
    /// Take the events from a file of NDJSON, plain or gzip, instead of making some up
    #[arg(long, value_name = "FILE")]
    pub(crate) events: Option<PathBuf>,
    /// Where the made-up events start from: the same seed gives the same events
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// How many people to make up; each has several events
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) count: u32,
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The folder to write millstream.toml into
    #[arg(default_value = ".")]
    pub(crate) dir: PathBuf,
    /// Print what would be written
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Migrate {
    /// Only this application's database; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) app: Vec<String>,
    /// Print the statements instead of running them
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Only this application; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) app: Vec<String>,
    /// Only this role; may be repeated. Every role that the configuration gives by default
    #[arg(long)]
    pub(crate) role: Vec<Role>,
    /// Take the consumer group from another database that holds it
    #[arg(long)]
    pub(crate) take_over: bool,
    /// Where a new subscriber begins whose stream has lost its beginning: without what came before
    #[arg(long, value_name = "WHERE")]
    pub(crate) from: Option<From>,
    /// Go on with a restored or failed-over database as the truth: send again, as a new generation,
    /// what some subscriber has not settled
    #[arg(long)]
    pub(crate) begin_generation: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum From {
    /// At the oldest event that is still there
    Oldest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Send the outbox, take in receipts, and remove what nobody needs any more
    #[value(alias = "acknowledgments")]
    Relay,
    /// Apply what arrives
    Consumer,
}

#[derive(Debug, Args)]
pub(crate) struct Publish {
    /// What happened, such as user.created
    #[arg(required_unless_present = "file")]
    pub(crate) event_type: Option<String>,
    /// The tenant it belongs to
    #[arg(required_unless_present = "file")]
    pub(crate) tenant: Option<String>,
    /// The entity it is about
    #[arg(required_unless_present = "file")]
    pub(crate) entity: Option<String>,
    /// What it says, as one JSON object
    #[arg(default_value = "{}")]
    pub(crate) data: String,
    /// Publish the events of a file of NDJSON, plain or gzip; - for stdin
    ///
    /// Ids decide which of them were there before, whatever the lines say. A line without eventId
    /// gets one that follows from its source (sourceApplication, or the application that publishes),
    /// its bytes, and how many equal lines came before it: the same file gives the same ids, and a
    /// line that is written differently is another event.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["event_type", "tenant", "entity", "id", "target", "key"])]
    pub(crate) file: Option<PathBuf>,
    /// The application that publishes; needed where several do
    #[arg(long, value_name = "NAME")]
    pub(crate) app: Option<String>,
    /// The stream; the application's first one by default
    #[arg(long, value_name = "NAME")]
    pub(crate) stream: Option<String>,
    /// The event's id; another event that is published under it has no effect
    #[arg(long)]
    pub(crate) id: Option<String>,
    /// The applications it is for, joined by commas; * for all
    #[arg(long, value_name = "NAMES")]
    pub(crate) target: Option<String>,
    /// What must stay in order, if not the entity
    #[arg(long)]
    pub(crate) key: Option<String>,
    /// Past the outbox, to the shared stream: weaker, see the manual
    #[arg(long)]
    pub(crate) direct: bool,
    /// Wait until every configured application that it is for has settled it
    #[arg(long, conflicts_with = "file")]
    pub(crate) wait: bool,
    /// How long to wait, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30, requires = "wait", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) timeout: u64,
    /// Check everything, publish nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Streams {
    /// Only this stream
    pub(crate) stream: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Option<StreamsCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StreamsCommand {
    /// Remove an application that is gone for good from the subscribers of a publisher, so that it
    /// holds nothing back any more
    Forget(Forget),
}

#[derive(Debug, Args)]
pub(crate) struct Forget {
    /// The subscriber
    pub(crate) application: String,
    /// Only of this publisher; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) app: Vec<String>,
    /// Only this stream
    #[arg(long, value_name = "NAME")]
    pub(crate) stream: Option<String>,
    /// Show what would be forgotten
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do it
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Trim {
    /// Only this stream
    #[arg(long, value_name = "NAME")]
    pub(crate) stream: Option<String>,
    /// Only what this application publishes; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) app: Vec<String>,
    /// Show what would be removed
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Tail {
    /// The stream; the only one that is configured by default
    pub(crate) stream: Option<String>,
    /// How many events
    #[arg(short = 'n', long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) count: u32,
    /// Go on with what arrives, until stopped
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Show event data too
    #[arg(long)]
    pub(crate) data: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeadLetters {
    /// List them, without their data
    List {
        /// Only of this application; may be repeated
        #[arg(long, value_name = "NAME")]
        app: Vec<String>,
        /// At most this many of each application
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Show one, with its fields as they were read
    Show {
        /// Whose
        #[arg(long, value_name = "NAME")]
        app: String,
        /// Its number
        number: i64,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Outbox {
    /// Write triggers that turn inserts, updates and deletes of a table into events, in the same
    /// transaction
    ///
    /// The table's [[apps.NAME.source]] says which. Rows that are there already are not sent.
    Capture {
        /// The table
        table: String,
        /// The application; needed where several have a source for the table
        #[arg(long, value_name = "NAME")]
        app: Option<String>,
        /// Print the statements instead of running them
        #[arg(long)]
        dry_run: bool,
        /// Take the triggers away
        #[arg(long)]
        remove: bool,
    },
    /// List the tables that are captured, and those that have changed since
    Captured {
        /// Only of this application; may be repeated
        #[arg(long, value_name = "NAME")]
        app: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Check the file, the databases, and that mappings fit the tables
    Check {
        /// Look at the file only
        #[arg(long)]
        offline: bool,
    },
    /// Show what the file comes to, defaults included
    Show,
}

#[cfg(feature = "redis")]
#[derive(Debug, Args)]
pub(crate) struct Acl {
    /// Only this application; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) app: Vec<String>,
    /// Only this role; may be repeated. All of them by default
    #[arg(long)]
    pub(crate) role: Vec<AclRole>,
    /// One user of this name for everything that was chosen
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,
}

#[cfg(feature = "redis")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AclRole {
    /// Adds to shared streams
    Publisher,
    /// Sends what the application publishes
    Relay,
    /// Applies what arrives
    Consumer,
    /// Trims streams
    Trimmer,
    /// Looks at everything
    Observer,
}

#[cfg(feature = "redis")]
impl std::convert::From<AclRole> for millstream::redis::Role {
    fn from(role: AclRole) -> Self {
        match role {
            AclRole::Publisher => Self::Publisher,
            AclRole::Relay => Self::Relay,
            AclRole::Consumer => Self::Consumer,
            AclRole::Trimmer => Self::Trimmer,
            AclRole::Observer => Self::Observer,
        }
    }
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Bench {
    /// Events to drain
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1_000..))]
    pub(crate) events: u32,
    /// Bytes of data of each event
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(100..=200_000))]
    pub(crate) payload: u32,
    /// Events a second while latency is measured
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) rate: u32,
    /// Seconds for which latency is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub(crate) seconds: u32,
    /// The folder for databases and log; a temporary one by default
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
    /// Measure a Redis or Valkey in the place of the embedded log: relay, consumer, and what they cost
    /// while idle. Its keys are named bench-…, and removed at the end
    #[cfg(feature = "redis")]
    #[arg(long, value_name = "URL")]
    pub(crate) transport: Option<String>,
    /// Measure a consumer that writes to a PostgreSQL or MariaDB. Its tables are named bench_…, and
    /// removed at the end
    #[cfg(all(feature = "mysql", feature = "postgres"))]
    #[arg(long, value_name = "URL", env = BENCH_DATABASE, hide_env = true)]
    pub(crate) database: Option<String>,
    /// One part in a process of its own
    #[arg(long, hide = true)]
    pub(crate) part: Option<String>,
    /// What the names of a measurement end in
    #[arg(long, hide = true)]
    pub(crate) run: Option<String>,
}

/// Tells a part in a process of its own which database is measured.
#[cfg(all(feature = "mysql", feature = "postgres"))]
pub(crate) const BENCH_DATABASE: &str = "MILLSTREAM_BENCH_DATABASE";

impl Bench {
    /// The URL of the database that is measured, if it is one on a server.
    #[cfg(all(feature = "mysql", feature = "postgres"))]
    pub(crate) fn database(&self) -> Option<&str> {
        self.database.as_deref()
    }

    /// The URL of the server that is measured, if it is one.
    pub(crate) fn transport(&self) -> Option<&str> {
        #[cfg(feature = "redis")]
        return self.transport.as_deref();
        #[cfg(not(feature = "redis"))]
        None
    }
}
