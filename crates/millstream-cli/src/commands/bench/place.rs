use std::path::Path;

use millstream::Transport;
use millstream::core::descriptor::Descriptor;
use millstream::core::name::{AppName, DatabaseId, StreamName};

use crate::cli::Bench;
use crate::commands::bench::rows;

/// Where the events of a measurement travel, and under which names.
#[derive(Debug)]
pub(super) struct Place {
    url: String,
    pub(super) stream: StreamName,
    pub(super) source: AppName,
}

impl Place {
    /// The transport that was named, or the embedded log in this file.
    pub(super) fn of(args: &Bench, dir: &Path, file: &str) -> anyhow::Result<Self> {
        match (args.transport(), &args.run) {
            (Some(url), Some(run)) => Ok(Self {
                url: url.to_owned(),
                // Nobody else's names, on a server that others use.
                stream: StreamName::new(format!("bench-{run}"))?,
                source: AppName::new(format!("bench-{run}"))?,
            }),
            _ => Ok(Self {
                url: format!("sqlite:{}", dir.join(file).display()),
                stream: StreamName::new("bench")?,
                source: AppName::new("crm")?,
            }),
        }
    }

    pub(super) async fn connect(&self) -> anyhow::Result<Transport> {
        Ok(millstream::connect(&self.url).await?)
    }

    /// The stream as nobody has announced it yet.
    pub(super) fn descriptor(&self) -> anyhow::Result<Descriptor> {
        Ok(Descriptor::new(
            self.stream.clone(),
            self.source.clone(),
            DatabaseId::new("bench")?,
            rows::SHARDS,
        ))
    }
}
