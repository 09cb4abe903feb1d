use std::path::PathBuf;

use anyhow::ensure;
use clap::ValueEnum;
use millstream::rusqlite::Connection;
use tempfile::TempDir;

use crate::databases::Eyes;
use crate::outbox::{self, Server, Session};

/// Which database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    Sqlite,
    Postgres,
    Mariadb,
}

/// A database of an application that knows nothing of events.
pub(super) enum Place {
    File(TempDir),
    Server(Box<Server>, Box<Session>),
}

impl Place {
    pub(super) async fn start(kind: Kind) -> anyhow::Result<Self> {
        let kind = match kind {
            Kind::Sqlite => return Ok(Self::File(tempfile::tempdir()?)),
            Kind::Postgres => outbox::Kind::Postgres,
            Kind::Mariadb => outbox::Kind::Mariadb,
        };
        let server = Server::start(kind).await?;
        let session = server.session(0).await?;
        Ok(Self::Server(Box::new(server), Box::new(session)))
    }

    pub(super) fn url(&self) -> String {
        match self {
            Self::File(folder) => format!("sqlite:{}", file(folder).display()),
            Self::Server(server, _) => server.url(),
        }
    }

    pub(super) fn eyes(&self) -> Eyes {
        match self {
            Self::File(folder) => Eyes::Sqlite(file(folder)),
            Self::Server(server, _) => server.eyes(),
        }
    }

    /// The numbers from 1 to `count`, as the rows `n` of a query.
    pub(super) fn numbers(&self, count: u64) -> String {
        match self.eyes() {
            Eyes::Postgres(_) => format!("SELECT n FROM generate_series(1, {count}) AS n"),
            Eyes::MariaDb(_) => format!("SELECT seq AS n FROM seq_1_to_{count}"),
            Eyes::Sqlite(_) => format!(
                "WITH RECURSIVE up (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM up WHERE n < {count})
                 SELECT n FROM up"
            ),
        }
    }

    /// Runs a statement as the application does.
    pub(super) async fn run(&mut self, sql: &str) -> anyhow::Result<()> {
        match self {
            Self::File(folder) => Ok(Connection::open(file(folder))?.execute_batch(sql)?),
            Self::Server(_, session) => {
                ensure!(session.run(sql).await?, "nobody else holds anything");
                Ok(())
            }
        }
    }
}

fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("crm.db")
}
