use std::ffi::OsString;
use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path, PathBuf};

use clap::Args;

use crate::history::file::Lines;
use crate::history::happening::Happening;
use crate::history::made::Made;

/// Events of a history that is made up.
const MADE_COUNT: u64 = 20_000;

/// Which history is played, the same for every process of a run.
#[derive(Debug, Clone, Args)]
pub(crate) struct History {
    /// Events as NDJSON, plain or gzip, instead of made-up ones
    #[arg(long, value_name = "FILE")]
    pub(crate) events: Option<PathBuf>,
    /// Seed of what is made up or drawn; a random one by default
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Stop after this many events
    #[arg(long, visible_alias = "count")]
    pub(crate) limit: Option<usize>,
}

impl History {
    /// The seed; drawn at the first call.
    pub(crate) fn seed(&mut self) -> u64 {
        *self
            .seed
            .get_or_insert_with(|| RandomState::new().hash_one(()) >> 40)
    }

    /// The events, in the order in which they happen.
    pub(crate) fn open(
        &self,
    ) -> anyhow::Result<Box<dyn Iterator<Item = anyhow::Result<Happening>>>> {
        let limit = self.limit.unwrap_or(usize::MAX);
        Ok(match &self.events {
            Some(path) => Box::new(Lines::open(path)?.take(limit)),
            None => {
                let count = self.limit.map_or(MADE_COUNT, |limit| limit as u64);
                Box::new(Made::new(self.seed.unwrap_or_default(), count).map(Ok))
            }
        })
    }

    /// What a child needs to play the same history.
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        let mut arguments = Vec::new();
        let mut push = |name: &str, value: OsString| arguments.extend([name.into(), value]);
        if let Some(path) = &self.events {
            push("--events", path.into());
        }
        if let Some(seed) = self.seed {
            push("--seed", seed.to_string().into());
        }
        if let Some(limit) = self.limit {
            push("--limit", limit.to_string().into());
        }
        arguments
    }

    /// The state that the whole history must lead to, where somebody has written it beside the file.
    pub(crate) fn expected(&self) -> Option<PathBuf> {
        let folder = self
            .events
            .as_deref()
            .filter(|_| self.limit.is_none())?
            .parent();
        let path = folder.unwrap_or(Path::new("")).join("expected.csv");
        path.exists().then_some(path)
    }
}
