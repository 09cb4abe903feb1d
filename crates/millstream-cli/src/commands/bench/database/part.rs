use std::path::Path;

use crate::cli::Bench;
use crate::commands::bench::database::{drain, floor};
use crate::commands::bench::part::Measured;

/// What is measured of a database, each in a process of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::commands::bench) enum DatabasePart {
    /// The rows, made inside the server.
    Floor,
    /// A consumer that makes them of a log.
    Drain,
}

impl DatabasePart {
    pub(in crate::commands::bench) async fn measure(
        self,
        args: &Bench,
        dir: &Path,
    ) -> anyhow::Result<Measured> {
        match self {
            Self::Floor => floor::measure(args).await,
            Self::Drain => drain::measure(args, dir).await,
        }
    }
}
