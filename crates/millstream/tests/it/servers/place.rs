//! HR's database on a PostgreSQL or a MariaDB.

use anyhow::{Context as _, Result};
use millstream::mysql::mysql_async::prelude::Queryable as _;
use millstream::mysql::mysql_async::{Conn, Opts};
use millstream::{App, Config};
use millstream_testkit::server::{MariaDb, Postgres};

use crate::site::{Site, app};

const TABLES: [&str; 2] = [
    EMPLOYEES,
    "CREATE TABLE offices (id VARCHAR(64) PRIMARY KEY, name VARCHAR(64))",
];

pub(super) const EMPLOYEES: &str = "CREATE TABLE employees (
    tenant_id VARCHAR(64), user_id VARCHAR(64), name VARCHAR(64), salary INTEGER,
    PRIMARY KEY (tenant_id, user_id))";

/// Beside the mappings that every site has.
const MORE: &str = r#"
[[apps.hr.map]]
on = ["office.opened"]
table = "offices"
key = { id = "entityId" }
set = { name = "data.name" }
"#;

const DATABASE: &str = "shop";

pub(super) enum Server {
    Postgres(Postgres),
    MariaDb(MariaDb),
}

pub(super) struct Place {
    pub(super) server: Server,
    pub(super) site: Site,
    /// HR as a user that may read and write what is there, and owns nothing.
    pub(super) hr: App,
}

impl Place {
    /// One on each kind of server; `settings` are HR's.
    pub(super) async fn each(settings: &str) -> Result<[Self; 2]> {
        let postgres = Server::Postgres(Postgres::start_default().await?);
        let mariadb = Server::MariaDb(MariaDb::start_default().await?);
        Ok([
            Self::new(postgres, settings).await?,
            Self::new(mariadb, settings).await?,
        ])
    }

    async fn new(server: Server, settings: &str) -> Result<Self> {
        if let Server::MariaDb(server) = &server {
            let mut conn = Conn::new(Opts::from_url(&server.url(""))?).await?;
            conn.query_drop(format!("CREATE DATABASE {DATABASE}"))
                .await?;
            conn.disconnect().await?;
        }
        for table in TABLES {
            server.rows(table).await?;
        }
        let site = Site::with_hr_at(&server.url(), 2).await?;
        server.let_in().await?;
        let path = site.path("millstream.toml");
        let text = std::fs::read_to_string(&path)?
            .replace(&server.url(), &server.url_of_hr())
            .replace("[apps.hr]", &format!("[apps.hr]\n{settings}"));
        std::fs::write(&path, text + MORE)?;
        let hr = app(&Config::load(&path)?, "hr");
        Ok(Self { server, site, hr })
    }
}

impl Server {
    /// The database of its owner.
    pub(super) fn url(&self) -> String {
        match self {
            Self::Postgres(server) => server.url(),
            Self::MariaDb(server) => server.url(DATABASE),
        }
    }

    fn url_of_hr(&self) -> String {
        let url = self.url();
        let (scheme, _) = url.split_once("://").unwrap_or_default();
        let (_, place) = url.rsplit_once('@').unwrap_or_default();
        format!("{scheme}://hr:secret@{place}")
    }

    /// Makes a user for HR, who may read and write what is there.
    async fn let_in(&self) -> Result<()> {
        match self {
            Self::Postgres(server) => {
                let sql = "CREATE ROLE hr LOGIN PASSWORD 'secret';
                           GRANT ALL ON ALL TABLES IN SCHEMA public TO hr";
                server.rows(sql).await?;
            }
            Self::MariaDb(_) => {
                self.rows("CREATE USER hr IDENTIFIED BY 'secret'").await?;
                let tables = "SELECT table_name FROM information_schema.tables
                              WHERE table_schema = database()";
                for table in self.rows(tables).await? {
                    self.rows(&format!("GRANT ALL ON {table} TO hr")).await?;
                }
            }
        }
        Ok(())
    }

    /// Runs a statement as the owner of everything; its rows are texts.
    pub(super) async fn rows(&self, sql: &str) -> Result<Vec<String>> {
        match self {
            Self::Postgres(server) => server.rows(sql).await,
            Self::MariaDb(server) => {
                let mut conn = Conn::new(Opts::from_url(&server.url(DATABASE))?).await?;
                let rows = conn.query(sql).await.context(sql.to_owned())?;
                conn.disconnect().await?;
                Ok(rows)
            }
        }
    }
}
