//! A database of its own in a server that the tests of a thread share.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use millstream_core::name::AppName;
use millstream_sql::identifier::{Prefix, Quoted};
use millstream_sql::postgres::{Database, Options, Server as Address, migrate};
use millstream_testkit::server::{Postgres, run};
use millstream_testkit::{app, stream, suite};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use super::handlers::handlers;
use super::mortal::Life;

thread_local! {
    /// The server of this thread, which takes it along when it ends: starting one for each of a hundred
    /// databases would take most of the time.
    static SERVER: RefCell<Option<Arc<Server>>> = const { RefCell::new(None) };
}

/// A server, and its databases that no site has.
struct Server {
    postgres: Postgres,
    free: Mutex<Vec<String>>,
    made: AtomicU64,
}

impl Server {
    /// The one of this thread.
    async fn of_thread() -> Arc<Self> {
        let known = SERVER.with_borrow(Option::clone);
        if let Some(server) = known {
            return server;
        }
        let server = Arc::new(Self {
            postgres: Postgres::start_default().await.unwrap(),
            free: Mutex::default(),
            made: AtomicU64::new(0),
        });
        SERVER.set(Some(server.clone()));
        server
    }

    /// An empty database, and a connection to it.
    async fn database(&self) -> (String, Client) {
        let free = self.free.lock().unwrap().pop();
        if let Some(name) = free {
            let client = connect(self.postgres.address(), &name).await;
            // Who had it before may still be at it.
            let empty = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
                           WHERE datname = current_database() AND pid <> pg_backend_pid();
                         DROP SCHEMA public CASCADE; CREATE SCHEMA public";
            client.batch_execute(empty).await.unwrap();
            return (name, client);
        }
        let name = format!("hr{}", self.made.fetch_add(1, Ordering::Relaxed));
        let admin = connect(self.postgres.address(), "postgres").await;
        let create = format!("CREATE DATABASE {name}");
        admin.batch_execute(&create).await.unwrap();
        let client = connect(self.postgres.address(), &name).await;
        (name, client)
    }
}

pub(crate) struct Site {
    server: Arc<Server>,
    name: String,
    prefix: Prefix,
    life: Mutex<Option<Life>>,
    /// The application's own connection.
    application: Client,
}

impl Site {
    /// An empty database, for tables whose names begin so.
    async fn new(prefix: &str) -> Self {
        let server = Server::of_thread().await;
        let (name, application) = server.database().await;
        Self {
            server,
            name,
            prefix: Prefix::new(prefix).unwrap(),
            life: Mutex::default(),
            application,
        }
    }

    /// The server, which no other site of the test may need meanwhile.
    pub(crate) fn server(&self) -> &Postgres {
        &self.server.postgres
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.postgres.address()
    }

    /// Another connection of the application.
    pub(crate) async fn open(&self) -> Client {
        connect(self.address(), &self.name).await
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@{}/{}", self.address(), self.name)
    }

    /// Waits until a session of ours waits for a lock.
    pub(crate) async fn one_waits(&self) {
        let waiting = "SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND application_name = 'millstream'
                         AND wait_event_type = 'Lock'";
        while suite::Site::rows(self, waiting).await == ["0"] {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    }

    /// One of the server's own programs, for this database.
    fn program(&self, name: &str) -> Command {
        let mut command = Postgres::program(name).unwrap();
        let url = format!("postgres://postgres@{}/{}", self.address(), self.name);
        command.arg("--dbname").arg(url);
        command
    }

    /// Options for a process that reaches the server there.
    pub(crate) fn options(&self, application: &AppName, address: SocketAddr) -> Options {
        self.options_with(application, address, "")
    }

    /// A process whose sessions have a setting of the user's own: `name=value`.
    pub(crate) fn with_setting(&self, setting: &str) -> Database {
        let escaped = setting.replace('=', "%3D").replace(' ', "%5C%20");
        let options = format!("?options=-c%20{escaped}");
        Database::new(self.options_with(&app("hr"), self.address(), &options))
    }

    fn options_with(&self, application: &AppName, address: SocketAddr, query: &str) -> Options {
        let url = format!("postgres://postgres@{address}/{}{query}", self.name);
        let mut options = Options::new(application.clone(), Address::url(&url).unwrap());
        options.prefix = self.prefix.clone();
        options.handlers = handlers();
        options
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let name = std::mem::take(&mut self.name);
        self.server.free.lock().unwrap().push(name);
    }
}

/// A connection that works until it is dropped.
pub(super) async fn connect(address: SocketAddr, database: &str) -> Client {
    let url = format!("postgres://postgres@{address}/{database}");
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    // It ends with its client, or with the server; whoever uses it then is told.
    tokio::spawn(async move { drop(connection.await) });
    client
}

impl suite::Site for Site {
    type Handle = Database;

    const OBJECTS: &'static str = "SELECT relname::text FROM pg_class
                                    WHERE relnamespace = current_schema()::regnamespace
                                    UNION ALL SELECT tgname::text FROM pg_trigger";

    const CASES: u32 = 48;
    // No multiple of what a batch or a savepoint takes.
    const STRIDE: u64 = 11;

    async fn make(prefix: &str) -> Self {
        let site = Self::new(prefix).await;
        let first = stream("events");
        let options = site.options(&app("hr"), site.address());
        migrate(&options, Some(&first)).await.unwrap();
        site
    }

    async fn bare() -> Self {
        Self::new("").await
    }

    async fn connect_as(&self, application: &AppName) -> Database {
        Database::new(self.options(application, self.address()))
    }

    async fn connect_mortal(&self, statements: u64) -> Database {
        let life = Life::begin(self.address(), statements).await;
        let options = self.options(&app("hr"), life.address());
        *self.life.lock().unwrap() = Some(life);
        Database::new(options)
    }

    async fn bury(&self, handle: Database) -> bool {
        drop(handle);
        let life = self.life.lock().unwrap().take();
        life.expect("there is a mortal process").has_ended()
    }

    async fn execute(&self, sql: &str) -> Result<(), String> {
        let result = self.application.batch_execute(sql).await;
        result.map_err(|error| match error.as_db_error() {
            Some(error) => error.message().to_owned(),
            None => error.to_string(),
        })
    }

    async fn rows(&self, query: &str) -> Vec<String> {
        let statement = self.application.prepare(query).await.unwrap();
        let types: Vec<_> = statement.columns().iter().map(|c| c.type_()).collect();
        let messages = self.application.simple_query(query).await.unwrap();
        let rows = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        rows.map(|row| {
            let values: Vec<&str> = (0..row.len())
                .map(|at| match row.get(at) {
                    None => "NULL",
                    Some("t") if *types[at] == Type::BOOL => "1",
                    Some("f") if *types[at] == Type::BOOL => "0",
                    Some(value) => value,
                })
                .collect();
            values.join("|")
        })
        .collect()
    }

    fn replace(into: &str) -> String {
        format!(
            "INSERT {into} ON CONFLICT (event_id) DO UPDATE SET event_data = excluded.event_data"
        )
    }

    fn quoted(name: &str) -> String {
        Quoted(name).to_string()
    }

    async fn back_up(&self) -> Vec<u8> {
        run(self.program("pg_dump"), b"").unwrap()
    }

    async fn restore(&self, copy: &[u8]) {
        let empty = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
                       WHERE datname = current_database() AND pid <> pg_backend_pid();
                     DROP SCHEMA public CASCADE; CREATE SCHEMA public";
        self.execute(empty).await.unwrap();
        let mut restore = self.program("psql");
        restore.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"]);
        run(restore, copy).unwrap();
    }
}
