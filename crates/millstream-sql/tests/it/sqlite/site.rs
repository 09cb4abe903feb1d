//! A file in a folder of its own.

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;

use millstream_core::name::AppName;
use millstream_sql::identifier::{Prefix, Quoted};
use millstream_sql::sqlite::{Database, Options, migrate};
use millstream_sqlite::Synchronous;
use millstream_testkit::suite::Site;
use millstream_testkit::{app, stream};

use super::handlers::handlers;
use super::mortal::Life;

/// The file; each handle has its own connections, as a process would.
pub(crate) struct File {
    _folder: tempfile::TempDir,
    path: Mutex<PathBuf>,
    prefix: Prefix,
    life: Mutex<Option<Life>>,
    /// The application's connection, once it has one.
    application: Mutex<Option<rusqlite::Connection>>,
}

impl File {
    /// An empty file, for tables whose names begin so.
    pub(crate) fn new(prefix: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = Self {
            path: Mutex::new(folder.path().join("hr.db")),
            _folder: folder,
            prefix: Prefix::new(prefix).unwrap(),
            life: Mutex::default(),
            application: Mutex::default(),
        };
        file.on_connection(|_| ());
        file
    }

    /// The file and its write-ahead log as a process, or the power, has left them.
    pub(crate) fn left_as(file: &[u8], log: &[u8]) -> Self {
        let site = Self::new("");
        *site.application.lock().unwrap() = None;
        fs::write(site.path(), file).unwrap();
        fs::write(site.path().with_extension("db-wal"), log).unwrap();
        site
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.path.lock().unwrap().clone()
    }

    /// A crash is made by a copy of the file, so nothing need survive a power cut.
    pub(crate) fn options(&self, application: &AppName) -> Options {
        Options {
            sqlite: millstream_sqlite::Options::file(self.path())
                .create(true)
                .synchronous(Synchronous::Normal),
            prefix: self.prefix.clone(),
            handlers: handlers(),
            ..Options::file(application.clone(), self.path())
        }
    }

    /// A connection of the application, for a longer time.
    pub(crate) fn open(&self) -> rusqlite::Connection {
        self.options(&app("hr")).sqlite.open().unwrap()
    }

    fn on_connection<T>(&self, job: impl FnOnce(&mut rusqlite::Connection) -> T) -> T {
        let mut connection = self.application.lock().unwrap();
        job(connection.get_or_insert_with(|| self.open()))
    }
}

impl Site for File {
    type Handle = Database;

    const OBJECTS: &'static str = "SELECT name FROM sqlite_schema";

    async fn make(prefix: &str) -> Self {
        let file = Self::new(prefix);
        let first = stream("events");
        file.on_connection(|db| migrate(db, &app("hr"), &file.prefix, Some(&first)).unwrap());
        file
    }

    async fn bare() -> Self {
        Self::new("")
    }

    async fn connect_as(&self, application: &AppName) -> Database {
        Database::new(self.options(application))
    }

    async fn connect_mortal(&self, statements: u64) -> Database {
        let life = Life::new(statements, self.path());
        *self.life.lock().unwrap() = Some(life.clone());
        Database::new_with(self.options(&app("hr")), move |db| {
            life.live_in(db);
            Ok(())
        })
    }

    async fn bury(&self, handle: Database) -> bool {
        drop(handle);
        let life = self.life.lock().unwrap().take();
        let remains = life.expect("there is a mortal process").end();
        let died = remains.is_some();
        if let Some(path) = remains {
            *self.path.lock().unwrap() = path;
            *self.application.lock().unwrap() = None;
        }
        died
    }

    async fn execute(&self, sql: &str) -> Result<(), String> {
        self.on_connection(|db| db.execute_batch(sql).map_err(|error| error.to_string()))
    }

    async fn rows(&self, query: &str) -> Vec<String> {
        self.on_connection(|db| {
            let mut statement = db.prepare(query).unwrap();
            let columns = statement.column_count();
            let rows = statement.query_map([], |row| {
                let values: rusqlite::Result<Vec<String>> =
                    (0..columns).map(|at| Ok(show(&row.get(at)?))).collect();
                Ok(values?.join("|"))
            });
            rows.unwrap().map(Result::unwrap).collect()
        })
    }

    fn replace(into: &str) -> String {
        format!("INSERT OR REPLACE {into}")
    }

    fn quoted(name: &str) -> String {
        Quoted(name).to_string()
    }

    async fn back_up(&self) -> Vec<u8> {
        let copy = self.path().with_extension("copy");
        self.on_connection(|db| db.execute("VACUUM INTO ?1", [copy.to_str()]))
            .unwrap();
        let bytes = fs::read(&copy).unwrap();
        fs::remove_file(copy).unwrap();
        bytes
    }

    async fn restore(&self, copy: &[u8]) {
        *self.application.lock().unwrap() = None;
        let (path, new) = (self.path(), self.path().with_extension("new"));
        fs::write(&new, copy).unwrap();
        // What belongs to the old file goes with it.
        for suffix in ["-wal", "-shm"] {
            let mut beside = path.clone().into_os_string();
            beside.push(suffix);
            fs::remove_file(beside).ok();
        }
        fs::rename(new, path).unwrap();
    }
}

fn show(value: &rusqlite::types::Value) -> String {
    use rusqlite::types::Value;
    match value {
        Value::Null => "NULL".into(),
        Value::Integer(value) => value.to_string(),
        Value::Real(value) => value.to_string(),
        Value::Text(value) => value.clone(),
        Value::Blob(value) => format!("{value:?}"),
    }
}
