//! A PostgreSQL and a MariaDB, and the applications' own connections to them.

use anyhow::{Context as _, Result};
use millstream::mysql::mysql_async::prelude::Queryable as _;
use millstream::mysql::mysql_async::{Conn, Opts, Value};
use millstream::postgres::tokio_postgres::{self, NoTls, SimpleQueryMessage};
use tokio::runtime::Runtime;

use millstream_testkit::server::{MariaDb, MariaDbBuilder, Postgres, PostgresBuilder};

use crate::folder::Folder;

/// Both servers, with a database `shop` in each, and an empty folder.
pub(super) struct Site {
    // Before the runtime, which its processes are watched by.
    pub(super) postgres: Postgres,
    pub(super) mariadb: MariaDb,
    pub(super) folder: Folder,
    runtime: Runtime,
}

impl Site {
    pub(super) fn new() -> Result<Self> {
        Self::with(Postgres::builder(), MariaDb::builder())
    }

    pub(super) fn with(postgres: PostgresBuilder, mariadb: MariaDbBuilder) -> Result<Self> {
        let runtime = Runtime::new()?;
        let (postgres, mariadb) = runtime.block_on(async {
            Ok::<_, anyhow::Error>((postgres.start().await?, mariadb.start().await?))
        })?;
        let site = Self {
            postgres,
            mariadb,
            folder: Folder::empty()?,
            runtime,
        };
        let admin = site.postgres.url();
        site.runtime
            .block_on(on_postgres(&admin, "CREATE DATABASE shop"))?;
        let admin = site.mariadb.url("");
        site.runtime
            .block_on(on_mariadb(&admin, "CREATE DATABASE shop"))?;
        Ok(site)
    }

    pub(super) fn postgres_url(&self) -> String {
        format!("postgres://postgres@{}/shop", self.postgres.address())
    }

    pub(super) fn mariadb_url(&self) -> String {
        self.mariadb.url("shop")
    }

    /// Runs statements on PostgreSQL as an application would; rows as texts, joined by `|`.
    pub(super) fn postgres(&self, sql: &str) -> Result<Vec<String>> {
        self.runtime
            .block_on(on_postgres(&self.postgres_url(), sql))
    }

    /// The same on MariaDB, one statement at a time.
    pub(super) fn mariadb(&self, sql: &str) -> Result<Vec<String>> {
        self.runtime.block_on(on_mariadb(&self.mariadb_url(), sql))
    }

    pub(super) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    pub(super) fn configure(&self, text: &str) -> Result<()> {
        Ok(std::fs::write(self.folder.path("millstream.toml"), text)?)
    }
}

/// Runs statements on the server that the URL is of; on MariaDB one at a time.
pub(super) async fn on(url: &str, sql: &str) -> Result<Vec<String>> {
    match url.starts_with("postgres:") {
        true => on_postgres(url, sql).await,
        false => on_mariadb(url, sql).await,
    }
}

/// Runs statements as an application would; rows as texts, joined by `|`.
async fn on_postgres(url: &str, sql: &str) -> Result<Vec<String>> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    let connection = tokio::spawn(connection);
    let messages = client.simple_query(sql).await.context(sql.to_owned())?;
    drop(client);
    connection.await??;
    Ok(messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        })
        .map(|row| {
            let columns: Vec<&str> = (0..row.len())
                .map(|at| row.get(at).unwrap_or("NULL"))
                .collect();
            columns.join("|")
        })
        .collect())
}

async fn on_mariadb(url: &str, sql: &str) -> Result<Vec<String>> {
    let mut conn = Conn::new(Opts::from_url(url)?).await?;
    let rows: Vec<millstream::mysql::mysql_async::Row> =
        conn.query(sql).await.context(sql.to_owned())?;
    conn.disconnect().await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let columns: Vec<String> = row.unwrap().iter().map(show).collect();
            columns.join("|")
        })
        .collect())
}

fn show(value: &Value) -> String {
    match value {
        Value::NULL => "NULL".into(),
        Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other => other.as_sql(true),
    }
}
