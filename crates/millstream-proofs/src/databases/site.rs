//! Three servers, a configuration, and the tables of the applications.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use millstream::mysql::mysql_async::prelude::Queryable as _;
use millstream::mysql::mysql_async::{Conn, Opts};
use millstream::rusqlite::Connection;
use millstream_testkit::server::{Flavour, MariaDb, Postgres, Server};
use tokio::runtime::Runtime;

use crate::databases::eyes::{Eyes, connect};
use crate::site::Site;

/// The applications that follow, each with its database of another kind.
pub(super) const FOLLOWERS: [&str; 3] = ["hr-sqlite", "hr-postgres", "hr-mariadb"];

/// What CRM is on PostgreSQL: by itself, and by what Millstream adds.
const CRM: &str = include_str!("crm.sql");

/// The tables that the others keep. Types that all three databases know.
const HR: &str = include_str!("hr.sql");

/// The servers, and the databases on them.
#[derive(Debug)]
pub(super) struct Servers {
    pub(super) postgres: Postgres,
    pub(super) mariadb: MariaDb,
    pub(super) redis: Server,
}

impl Servers {
    /// Starts all three, such that they keep what they have acknowledged.
    pub(super) async fn start() -> anyhow::Result<Self> {
        Ok(Self {
            postgres: Postgres::builder().durable().start().await?,
            mariadb: MariaDb::builder().durable().start().await?,
            redis: Server::builder(Flavour::Redis).start().await?,
        })
    }

    /// The URL of CRM's database.
    pub(super) fn crm(&self) -> String {
        self.postgres_url("crm")
    }

    fn postgres_url(&self, database: &str) -> String {
        format!("postgres://postgres@{}/{database}", self.postgres.address())
    }

    /// Makes databases, tables and configuration. With `capture` the stream brings rows of CRM's
    /// tables, otherwise what it publishes.
    pub(super) async fn prepare(&self, dir: &Path, capture: bool) -> anyhow::Result<Site> {
        let site = Site::at(dir);
        fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
        let admin = connect(&self.postgres.url()).await?;
        for database in ["crm", "hr"] {
            let create = format!("CREATE DATABASE {database}");
            admin.batch_execute(&create).await?;
        }
        connect(&self.crm()).await?.batch_execute(CRM).await?;
        let hr = self.postgres_url("hr");
        connect(&hr).await?.batch_execute(HR).await?;

        let mut admin = Conn::new(Opts::from_url(&self.mariadb.url(""))?).await?;
        let create = "CREATE DATABASE hr CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin";
        admin.query_drop(create).await?;
        admin.query_drop("USE hr").await?;
        for table in HR.split("\n\n") {
            admin.query_drop(table).await?;
        }
        admin.disconnect().await?;

        Connection::open(site.database("hr-sqlite"))?.execute_batch(HR)?;

        let mappings = match capture {
            true => include_str!("captured.toml"),
            false => include_str!("published.toml"),
        };
        let mut text = format!(
            "[transport]\nurl = \"{}\"\n\n[apps.crm]\ndatabase = \"{}\"\n\
             publishes = [\"inter-app-events\"]\nlease = \"1s\"\n",
            self.redis.url(),
            self.crm()
        );
        if capture {
            text.push_str(include_str!("sources.toml"));
        }
        let addresses = [
            "sqlite:hr-sqlite.db".to_owned(),
            self.postgres_url("hr"),
            self.mariadb.url("hr"),
        ];
        for (name, address) in FOLLOWERS.into_iter().zip(addresses) {
            let section = format!(
                "\n[apps.{name}]\ndatabase = \"{address}\"\nsubscribes = [\"inter-app-events\"]\n\
                 lease = \"1s\"\nbatch_max = 200\n"
            );
            text.push_str(&section);
            text.push_str(&mappings.replace("APP", name));
        }
        fs::write(site.path("millstream.toml"), text)?;
        site.migrate().await?;
        let crm = site.app("crm")?;
        for source in crm.sources() {
            crm.database().capture(source).await?;
        }
        Ok(site)
    }

    /// Eyes on CRM's database.
    pub(super) fn look_at_crm(&self) -> Eyes {
        Eyes::Postgres(self.crm())
    }

    /// Eyes on the database of a follower.
    pub(super) fn look_at(&self, site: &Site, follower: &str) -> Eyes {
        match follower {
            "hr-postgres" => Eyes::Postgres(self.postgres_url("hr")),
            "hr-mariadb" => Eyes::MariaDb(self.mariadb.url("hr")),
            name => Eyes::Sqlite(site.database(name)),
        }
    }
}

/// A runtime for servers and questions.
pub(crate) fn runtime() -> anyhow::Result<Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?)
}
