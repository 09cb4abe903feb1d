use std::path::PathBuf;

use clap::Args;

use crate::history::History;
use crate::site::Folder;
use crate::terminal::say;

/// What every proof with a history takes.
#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    history: History,
    /// An empty folder to work in, which is kept; a temporary one by default
    #[arg(long)]
    dir: Option<PathBuf>,
}

impl Run {
    /// Runs a proof in its folder, with the seed that is told. A folder in which it failed is kept.
    pub(crate) fn prove(
        self,
        name: &str,
        proof: impl FnOnce(&Folder, History, u64) -> anyhow::Result<String>,
    ) -> anyhow::Result<String> {
        let mut history = self.history;
        let seed = history.seed();
        let folder = Folder::new(self.dir)?;
        say(format!(
            "{name}: seed {seed}, in {}",
            folder.path().display()
        ));
        proof(&folder, history, seed).map_err(|error| {
            let folder = folder.keep();
            error.context(format!(
                "{name}: FAILED, seed {seed}; see {}",
                folder.display()
            ))
        })
    }
}
