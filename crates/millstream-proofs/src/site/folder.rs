use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use millstream::rusqlite::Connection;
use millstream::{App, Config, Transport};
use millstream_core::name::AppName;
use tempfile::TempDir;

/// The stream that CRM publishes to.
pub(crate) const STREAM: &str = "inter-app-events";

/// Where events travel unless a proof says otherwise: the embedded log in the folder.
pub(crate) const EMBEDDED: &str = "sqlite:events.db";

/// The applications' own tables, as each of them would have made them.
const TABLES: [(&str, &str); 3] = [
    ("crm", include_str!("crm.sql")),
    ("hr", include_str!("hr.sql")),
    ("affiliate", include_str!("affiliate.sql")),
];

/// Where a proof works: a folder that was named, or a temporary one.
#[derive(Debug)]
pub(crate) enum Folder {
    Named(PathBuf),
    Temporary(TempDir),
}

impl Folder {
    pub(crate) fn new(named: Option<PathBuf>) -> anyhow::Result<Self> {
        match named {
            Some(path) => Ok(Self::Named(path)),
            None => Ok(Self::Temporary(TempDir::with_prefix("millstream-proofs-")?)),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Named(path) => path,
            Self::Temporary(folder) => folder.path(),
        }
    }

    /// Leaves the folder where it is, for people to look into.
    pub(crate) fn keep(self) -> PathBuf {
        match self {
            Self::Named(path) => path,
            Self::Temporary(folder) => folder.keep(),
        }
    }
}

/// The applications in a folder.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    dir: PathBuf,
}

impl Site {
    /// The site in a folder that another process has prepared.
    pub(crate) fn at(dir: &Path) -> Self {
        Self { dir: dir.into() }
    }

    /// Makes configuration, databases and tables; events travel by the transport at that URL. Refuses
    /// a folder that holds some already: what is in it would not be of this run.
    pub(crate) fn prepare(dir: &Path, transport: &str) -> anyhow::Result<Self> {
        let site = Self::at(dir);
        let config = site.path("millstream.toml");
        if config.exists() {
            bail!(
                "{} is there already: name an empty folder",
                config.display()
            );
        }
        fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
        let text = include_str!("millstream.toml").replace(EMBEDDED, transport);
        fs::write(&config, text)?;
        for (name, tables) in TABLES {
            let path = site.database(name);
            Connection::open(&path)
                .and_then(|db| db.execute_batch(tables))
                .with_context(|| path.display().to_string())?;
        }
        Ok(site)
    }

    /// Makes Millstream's tables in all databases.
    pub(crate) async fn migrate(&self) -> anyhow::Result<()> {
        for app in self.config()?.apps.values() {
            app.migrate().await?;
        }
        Ok(())
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(crate) fn database(&self, application: &str) -> PathBuf {
        self.path(&format!("{application}.db"))
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path("events.db")
    }

    /// Connects to the transport, as it is configured.
    pub(crate) async fn connect(&self) -> anyhow::Result<Transport> {
        Ok(millstream::connect_to(&self.config()?.transport).await?)
    }

    fn config(&self) -> anyhow::Result<Config> {
        Ok(Config::load(self.path("millstream.toml"))?)
    }

    /// An application as it is configured.
    pub(crate) fn app(&self, name: &str) -> anyhow::Result<App> {
        let mut config = self.config()?;
        let app = config.apps.remove(&AppName::new(name)?);
        app.with_context(|| format!("{name} is not configured"))
    }
}
