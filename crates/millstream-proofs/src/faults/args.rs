use clap::{Args, ValueEnum};
use millstream_testkit::server::Flavour;

use crate::faults::fault::Fault;
use crate::run::Run;

#[derive(Debug, Args)]
pub(crate) struct Faults {
    /// What happens; several by commas, or all of them
    #[arg(long, required = true, value_delimiter = ',', value_enum)]
    pub(super) fault: Vec<Fault>,
    /// Only while nothing is published: what got lost must come back before anything new is
    #[arg(long)]
    pub(super) idle: bool,
    /// How often something happens
    #[arg(long, default_value_t = 5, overrides_with = "rounds")]
    pub(super) rounds: u64,
    /// Seconds for which the server is out of memory
    #[arg(long, default_value_t = 10)]
    pub(super) oom_seconds: u64,
    /// Which server it happens to
    #[arg(long, value_enum, default_value_t = Kind::Redis)]
    pub(super) flavour: Kind,
    #[command(flatten)]
    pub(super) run: Run,
}

/// A server by its name.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Kind {
    Redis,
    Valkey,
}

impl From<Kind> for Flavour {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Redis => Self::Redis,
            Kind::Valkey => Self::Valkey,
        }
    }
}
