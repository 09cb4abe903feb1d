//! A database of its own on a server that the tests of a process share.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder, Row, Value};
use tokio::sync::Mutex;

use millstream_core::name::AppName;
use millstream_sql::identifier::{Backticked, Prefix};
use millstream_sql::mysql::{Database, Options, Server as Address, migrate};
use millstream_testkit::server::{MariaDb, run};
use millstream_testkit::{app, stream, suite};

use super::handlers::handlers;
use super::mortal::Life;

/// Names a MySQL to test instead, with a user who may make databases.
const MYSQL_URL: &str = "MILLSTREAM_TEST_MYSQL_URL";

/// Whether it is a MySQL that is tested, which lacks some types, engines and settings of MariaDB.
pub(super) fn is_mysql() -> bool {
    std::env::var_os(MYSQL_URL).is_some_and(|url| !url.is_empty())
}

/// Where databases are made.
struct Server {
    /// Killed when it is dropped.
    _child: Option<MariaDb>,
    opts: Opts,
    address: SocketAddr,
    /// Tells any two texts apart.
    collation: &'static str,
}

impl Server {
    async fn find() -> Self {
        if let Some(url) = std::env::var_os(MYSQL_URL).filter(|url| !url.is_empty()) {
            let url = url.into_string().expect("a URL is text");
            let opts = Opts::from_url(&url).expect("a URL of MySQL");
            let host = (opts.ip_or_hostname().to_owned(), opts.tcp_port());
            let addresses = tokio::net::lookup_host(host).await;
            let address = addresses.expect("its host is known").next();
            return Self {
                _child: None,
                address: address.expect("its host has an address"),
                opts,
                collation: "utf8mb4_0900_bin",
            };
        }
        let child = MariaDb::start_default().await.expect("MariaDB starts");
        Self {
            opts: Opts::from_url(&child.url("")).expect("its URL is one"),
            address: child.address(),
            _child: Some(child),
            collation: "utf8mb4_nopad_bin",
        }
    }

    /// One for all tests of this process. It ends with the runtime of the test that came first, or
    /// with the last database on it.
    async fn get() -> Arc<Self> {
        static SERVER: Mutex<Weak<Server>> = Mutex::const_new(Weak::new());
        let mut known = SERVER.lock().await;
        if let Some(server) = known.upgrade() {
            return server;
        }
        let server = Arc::new(Self::find().await);
        *known = Arc::downgrade(&server);
        let kept = Arc::clone(&server);
        tokio::spawn(async move {
            std::future::pending::<()>().await;
            drop(kept);
        });
        server
    }

    fn url_at(&self, address: SocketAddr, database: &str) -> String {
        let user = self.opts.user().unwrap_or_default();
        let password = self.opts.pass().unwrap_or_default();
        format!("mysql://{user}:{password}@{address}/{database}")
    }
}

/// The database; each handle has its own connections, as a process would.
pub(crate) struct Site {
    server: Arc<Server>,
    name: String,
    prefix: Prefix,
    life: Mutex<Option<Life>>,
    /// The application's connection, once it has one.
    application: Mutex<Option<Conn>>,
}

impl Site {
    /// An empty database, for tables whose names begin so.
    pub(crate) async fn new(prefix: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let server = Server::get().await;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("hr_{}_{number}", std::process::id());
        let mut conn = Conn::new(server.opts.clone()).await.unwrap();
        let collation = server.collation;
        let create = format!("CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE {collation}");
        conn.query_drop(create).await.unwrap();
        conn.disconnect().await.unwrap();
        Self {
            server,
            name,
            prefix: Prefix::new(prefix).unwrap(),
            life: Mutex::default(),
            application: Mutex::default(),
        }
    }

    pub(crate) fn options_at(&self, address: SocketAddr, application: &AppName) -> Options {
        let url = self.server.url_at(address, &self.name);
        let mut options = Options::new(application.clone(), Address::url(&url).unwrap());
        options.prefix = self.prefix.clone();
        options.handlers = handlers();
        options
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address
    }

    pub(crate) fn options(&self) -> Options {
        self.options_at(self.address(), &app("hr"))
    }

    /// One of the server's own programs, for this database.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        let (host, opts) = (self.address(), &self.server.opts);
        command.args([
            "--no-defaults",
            "--protocol=tcp",
            &format!("--host={}", host.ip()),
            &format!("--port={}", host.port()),
            &format!("--user={}", opts.user().unwrap_or_default()),
            &format!("--password={}", opts.pass().unwrap_or_default()),
            &self.name,
        ]);
        command
    }

    /// Ends every connection to this database but this one.
    pub(crate) async fn kill_connections(&self, conn: &mut Conn) {
        // The application opens another one.
        *self.application.lock().await = None;
        let list = "SELECT id FROM information_schema.processlist
                    WHERE db = ? AND id <> connection_id()";
        let ids: Vec<u64> = conn.exec(list, (&self.name,)).await.unwrap();
        for id in &ids {
            // It may have gone by itself.
            conn.query_drop(format!("KILL {id}")).await.ok();
        }
    }

    /// Waits until a transaction in this database waits for a lock.
    pub(crate) async fn one_waits(&self) {
        let waiting = "SELECT count(*) FROM information_schema.innodb_trx t
                       JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id
                       WHERE t.trx_state = 'LOCK WAIT' AND p.db = database()";
        while suite::Site::rows(self, waiting).await == ["0"] {
            // Who looks more often than every 100 ms is shown the same again and again.
            tokio::time::sleep(Duration::from_millis(120)).await;
        }
    }

    /// A connection of the application, for a longer time. Backslashes are nothing special to it, as
    /// the standard has it.
    pub(crate) async fn open(&self) -> Conn {
        let url = self.server.url_at(self.address(), &self.name);
        let opts = Opts::from_url(&url).unwrap();
        let settings = "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_BACKSLASH_ESCAPES'";
        let opts = OptsBuilder::from_opts(opts).init(vec![settings]);
        Conn::new(opts).await.unwrap()
    }
}

impl Drop for Site {
    /// Many are made in one test.
    fn drop(&mut self) {
        let Some(mut conn) = self.application.get_mut().take() else {
            return;
        };
        let drop = format!("DROP DATABASE {}", self.name);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { conn.query_drop(drop).await });
        }
    }
}

impl suite::Site for Site {
    type Handle = Database;

    const OBJECTS: &'static str = "SELECT table_name FROM information_schema.tables
                                    WHERE table_schema = database()
                                    UNION ALL
                                    SELECT trigger_name FROM information_schema.triggers
                                    WHERE trigger_schema = database()";

    const CASES: u32 = 96;
    // No multiple of what a batch or a savepoint takes.
    const STRIDE: u64 = 5;

    async fn make(prefix: &str) -> Self {
        let site = Self::new(prefix).await;
        let first = stream("events");
        migrate(&site.options(), Some(&first)).await.unwrap();
        site
    }

    async fn bare() -> Self {
        Self::new("").await
    }

    async fn connect_as(&self, application: &AppName) -> Database {
        Database::new(self.options_at(self.address(), application))
    }

    async fn connect_mortal(&self, statements: u64) -> Database {
        let life = Life::new(statements, self.address()).await;
        let database = Database::new(self.options_at(life.address(), &app("hr")));
        *self.life.lock().await = Some(life);
        database
    }

    async fn bury(&self, handle: Database) -> bool {
        drop(handle);
        let life = self.life.lock().await.take();
        life.expect("there is a mortal process").end()
    }

    async fn execute(&self, sql: &str) -> Result<(), String> {
        let mut application = self.application.lock().await;
        if application.is_none() {
            *application = Some(self.open().await);
        }
        let conn = application.as_mut().expect("it was just opened");
        conn.query_drop(sql)
            .await
            .map_err(|error| error.to_string())
    }

    async fn rows(&self, query: &str) -> Vec<String> {
        let mut application = self.application.lock().await;
        if application.is_none() {
            *application = Some(self.open().await);
        }
        let conn = application.as_mut().expect("it was just opened");
        let rows: Vec<Row> = conn.query(query).await.unwrap();
        rows.into_iter()
            .map(|row| {
                let values: Vec<String> = row.unwrap().iter().map(show).collect();
                values.join("|")
            })
            .collect()
    }

    fn upsert_name(tenant: &str, id: &str, name: &str) -> String {
        format!(
            "INSERT INTO people (tenant_id, id, name) VALUES ('{tenant}', '{id}', {name})
             ON DUPLICATE KEY UPDATE name = VALUES(name)"
        )
    }

    fn replace(into: &str) -> String {
        format!("REPLACE {into}")
    }

    fn quoted(name: &str) -> String {
        Backticked(name).to_string()
    }

    async fn back_up(&self) -> Vec<u8> {
        let mut dump = self.program("mariadb-dump");
        dump.args(["--single-transaction", "--triggers"]);
        run(dump, b"").unwrap()
    }

    async fn restore(&self, copy: &[u8]) {
        let mut conn = Conn::new(self.server.opts.clone()).await.unwrap();
        self.kill_connections(&mut conn).await;
        let (name, collation) = (&self.name, self.server.collation);
        conn.query_drop(format!("DROP DATABASE {name}"))
            .await
            .unwrap();
        let create = format!("CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE {collation}");
        conn.query_drop(create).await.unwrap();
        run(self.program("mariadb"), copy).unwrap();
    }
}

fn show(value: &Value) -> String {
    match value {
        Value::NULL => "NULL".into(),
        Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other => other.as_sql(true),
    }
}
