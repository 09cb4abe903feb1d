use clap::ValueEnum;
use millstream::mysql::mysql_async::prelude::Queryable as _;
use millstream::mysql::mysql_async::{self, Conn, Opts};
use millstream::postgres::tokio_postgres::Client;
use millstream_testkit::server::{MariaDb, Postgres};

use crate::databases::{Eyes, connect};

/// Which database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    Postgres,
    Mariadb,
}

/// A server with a database `crm`.
pub(crate) enum Server {
    Postgres(Postgres),
    MariaDb(MariaDb),
}

impl Server {
    pub(crate) async fn start(kind: Kind) -> anyhow::Result<Self> {
        match kind {
            Kind::Postgres => {
                let server = Postgres::builder()
                    .setting("shared_buffers=256MB")
                    .setting("max_wal_size=4GB")
                    // Writers lock keys in any order, and are not to wait a second each time.
                    .setting("deadlock_timeout=20ms");
                let server = server.start().await?;
                let admin = connect(&server.url()).await?;
                admin.batch_execute("CREATE DATABASE crm").await?;
                Ok(Self::Postgres(server))
            }
            Kind::Mariadb => {
                let server = MariaDb::builder()
                    .setting("innodb-buffer-pool-size=512M")
                    .setting("max-connections=100");
                let server = server.start().await?;
                let mut admin = Conn::new(Opts::from_url(&server.url(""))?).await?;
                admin.query_drop("CREATE DATABASE crm").await?;
                admin.disconnect().await?;
                Ok(Self::MariaDb(server))
            }
        }
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::Postgres(server) => format!("postgres://postgres@{}/crm", server.address()),
            Self::MariaDb(server) => server.url("crm"),
        }
    }

    pub(crate) fn eyes(&self) -> Eyes {
        match self {
            Self::Postgres(_) => Eyes::Postgres(self.url()),
            Self::MariaDb(_) => Eyes::MariaDb(self.url()),
        }
    }

    /// A connection of an application. `number` chooses how its sessions are, where that matters.
    pub(crate) async fn session(&self, number: usize) -> anyhow::Result<Session> {
        match self {
            Self::Postgres(_) => Ok(Session::Postgres(connect(&self.url()).await?)),
            Self::MariaDb(_) => {
                let mut conn = Conn::new(Opts::from_url(&self.url())?).await?;
                conn.query_drop(MARIADB[number % MARIADB.len()]).await?;
                Ok(Session::MariaDb(conn))
            }
        }
    }
}

/// How sessions of MariaDB may read.
const MARIADB: [&str; 3] = [
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ; SET SESSION innodb_snapshot_isolation = ON",
];

/// Errors after which an application does its transaction again: a deadlock, a lock that took too long, a
/// row that changed since the snapshot.
const AGAIN: [u16; 3] = [1020, 1205, 1213];

pub(crate) enum Session {
    Postgres(Client),
    MariaDb(Conn),
}

impl Session {
    /// Runs statements; false when the transaction must be done again, and was rolled back.
    pub(crate) async fn run(&mut self, sql: &str) -> anyhow::Result<bool> {
        match self {
            Self::Postgres(client) => {
                let Err(error) = client.batch_execute(sql).await else {
                    return Ok(true);
                };
                if error.code().is_none_or(|code| code.code() != "40P01") {
                    return Err(error.into());
                }
                client.batch_execute("ROLLBACK").await?;
            }
            Self::MariaDb(conn) => match conn.query_drop(sql).await {
                Ok(()) => return Ok(true),
                Err(mysql_async::Error::Server(error)) if AGAIN.contains(&error.code) => {
                    conn.query_drop("ROLLBACK").await?;
                }
                Err(error) => return Err(error.into()),
            },
        }
        Ok(false)
    }
}
