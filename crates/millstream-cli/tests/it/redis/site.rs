use anyhow::Result;
use tokio::runtime::Runtime;

use millstream_testkit::redis::FromRedisValue;
use millstream_testkit::server::{Builder, Flavour, Server};

use crate::folder::Folder;

/// A folder as `millstream init` leaves it, whose transport is a server of its own.
pub(crate) struct Site {
    // Before the runtime, which its processes are watched by.
    pub(crate) server: Server,
    pub(crate) folder: Folder,
    runtime: Runtime,
}

impl Site {
    pub(crate) fn new(flavour: Flavour) -> Result<Self> {
        Self::with(Server::builder(flavour))
    }

    pub(crate) fn with(server: Builder) -> Result<Self> {
        let runtime = Runtime::new()?;
        let server = runtime.block_on(server.start())?;
        let site = Self {
            server,
            folder: Folder::ready()?,
            runtime,
        };
        site.transport(&format!("url = \"{}\"", site.server.url()))?;
        Ok(site)
    }

    /// Puts other lines into `[transport]`.
    pub(crate) fn transport(&self, lines: &str) -> Result<()> {
        let path = self.folder.path("millstream.toml");
        let text = std::fs::read_to_string(&path)?;
        let (before, after) = text.split_once("[transport]\n").expect("init writes it");
        let (_, after) = after.split_once("\n\n").expect("a section ends");
        let text = format!("{before}[transport]\n{lines}\n\n{after}");
        Ok(std::fs::write(path, text)?)
    }

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// What the server answers to a command.
    pub(crate) fn query<T: FromRedisValue>(&self, words: &[&str]) -> Result<T> {
        Ok(self.block_on(self.server.query(words))?)
    }

    pub(crate) fn employees(&self) -> Result<Vec<String>> {
        let employees = "SELECT user_id || ' ' || name FROM employees ORDER BY 1";
        self.folder.rows("hr.db", employees)
    }
}
