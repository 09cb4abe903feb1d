use anyhow::Context;

use millstream::mysql::mysql_async::prelude::Queryable as _;
use millstream::mysql::mysql_async::{Conn, Opts};
use millstream::postgres::tokio_postgres::{Client, NoTls, connect};
use millstream::{App, Prefix, config};

use crate::cli::Bench;
use crate::exit_code::Coded;

/// What all names begin with.
const PREFIX: &str = "bench_";

/// The table that events become rows of.
pub(super) const TABLE: &str = "bench_employees";

const CREATE: &str = "CREATE TABLE bench_employees (
  tenant_id  VARCHAR(64) NOT NULL,
  user_id    VARCHAR(64) NOT NULL,
  first_name VARCHAR(64),
  last_name  VARCHAR(64),
  email      VARCHAR(64),
  title      VARCHAR(64),
  salary     INTEGER,
  PRIMARY KEY (tenant_id, user_id)
)";

/// A database on a server, by a connection of our own.
pub(super) enum Target {
    Postgres(Client),
    MariaDb(Conn),
}

impl Target {
    /// Connects to what `--database` names.
    pub(super) async fn connect(args: &Bench) -> anyhow::Result<Self> {
        let url = args.database().context("a database is measured")?;
        match config::Database::parse(url) {
            Ok(config::Database::Postgres(server)) if !server.is_encrypted() => {
                let (client, connection) = connect(url, NoTls)
                    .await
                    .map_err(|error| Coded::invalid(format!("--database: {server}: {error}")))?;
                // It ends with its client.
                tokio::spawn(connection);
                Ok(Self::Postgres(client))
            }
            Ok(config::Database::MySql(server)) if !server.is_encrypted() => {
                let url = url.replacen("mariadb://", "mysql://", 1);
                let mut conn = Conn::new(Opts::from_url(&url)?)
                    .await
                    .with_context(|| server.to_string())?;
                let version: Option<String> = conn.query_first("SELECT version()").await?;
                if !version.is_some_and(|version| version.contains("MariaDB")) {
                    let text = "--database: the floor of MySQL cannot be measured yet";
                    return Err(Coded::invalid(text));
                }
                Ok(Self::MariaDb(conn))
            }
            Ok(config::Database::Postgres(_) | config::Database::MySql(_)) => {
                let text = "--database: plain connections are measured: add ?sslmode=disable, or name \
                            a server of this machine";
                Err(Coded::invalid(text))
            }
            Ok(_) => {
                let text = "--database takes postgres://… or mysql://…; SQLite is what is measured \
                            without it";
                Err(Coded::invalid(text))
            }
            Err(error) => Err(Coded::invalid(format!("--database: {error}"))),
        }
    }

    /// What people call it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Postgres(_) => "PostgreSQL",
            Self::MariaDb(_) => "MariaDB",
        }
    }

    /// Runs a statement.
    pub(super) async fn run(&mut self, sql: &str) -> anyhow::Result<()> {
        match self {
            Self::Postgres(client) => Ok(client.batch_execute(sql).await?),
            Self::MariaDb(conn) => Ok(conn.query_drop(sql).await?),
        }
    }

    async fn tables(&mut self) -> anyhow::Result<Vec<String>> {
        let sql = "SELECT table_name FROM information_schema.tables
                   WHERE table_schema = SCHEMA AND left(table_name, 6) = 'bench_'
                   ORDER BY table_type DESC, table_name";
        match self {
            Self::Postgres(client) => {
                let sql = sql.replace("SCHEMA", "current_schema()");
                let rows = client.query(&sql, &[]).await?;
                Ok(rows.iter().map(|row| row.get(0)).collect())
            }
            Self::MariaDb(conn) => Ok(conn.query(sql.replace("SCHEMA", "database()")).await?),
        }
    }

    /// Refuses a database that has tables of these names.
    pub(super) async fn must_be_free(&mut self) -> anyhow::Result<()> {
        match self.tables().await?.first() {
            Some(table) => Err(Coded::refused(format!(
                "--database has a table {table} already, and all that begins with {PREFIX} would be \
                 removed: name another database"
            ))),
            None => Ok(()),
        }
    }

    /// Makes the tables anew, and describes the application that they belong to.
    pub(super) async fn prepare(&mut self, args: &Bench) -> anyhow::Result<App> {
        self.clear().await?;
        self.run(CREATE).await?;
        let url = args.database().context("a database is measured")?;
        let app = App::new("hr", url)?.table_prefix(Prefix::new(PREFIX)?);
        app.migrate().await?;
        Ok(app)
    }

    /// Removes what was made.
    pub(super) async fn clear(&mut self) -> anyhow::Result<()> {
        for table in self.tables().await? {
            let kind = match table.ends_with("event_tracking") {
                true => "VIEW",
                false => "TABLE",
            };
            self.run(&format!("DROP {kind} IF EXISTS {table}")).await?;
        }
        if let Self::Postgres(client) = self {
            let sql = "SELECT p.oid::regprocedure::text FROM pg_proc p
                       WHERE p.pronamespace = current_schema()::regnamespace
                         AND left(p.proname, 6) = 'bench_'";
            for row in client.query(sql, &[]).await? {
                let function: &str = row.get(0);
                client
                    .batch_execute(&format!("DROP FUNCTION IF EXISTS {function} CASCADE"))
                    .await?;
            }
        }
        Ok(())
    }
}
