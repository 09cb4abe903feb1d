use std::path::Path;
use std::sync::Arc;

use millstream_core::error::Error;
use millstream_core::name::AppName;
use millstream_sqlite::Connection;

use crate::identifier::Prefix;
use crate::sqlite::handler::Handlers;
use crate::sqlite::yielding::Yielding;

/// How to use an application's database.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whose database it is.
    pub application: AppName,
    /// Where it is. A missing file is an outage, over once the file is there.
    pub sqlite: millstream_sqlite::Options,
    /// What the names of our tables begin with. Empty by default.
    pub prefix: Prefix,
    /// Code that handles events. None by default.
    pub handlers: Handlers,
}

impl Options {
    /// An existing file with everything else at its default.
    pub fn file(application: AppName, path: impl AsRef<Path>) -> Self {
        Self {
            application,
            sqlite: millstream_sqlite::Options::file(path),
            prefix: Prefix::default(),
            handlers: Handlers::default(),
        }
    }
}

/// An application's SQLite database: [`Store`](millstream_core::store::Store) for what arrives,
/// [`Outbox`](millstream_core::outbox::Outbox) for what it sends.
///
/// Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub struct Database {
    pub(super) options: Arc<Options>,
    /// Every transaction that writes.
    pub(super) writer: Connection,
    /// Everything that only reads, so that it need not wait for a transaction.
    pub(super) reader: Connection,
    pub(super) yielding: Arc<Yielding>,
}

impl Database {
    /// Prepares to use the database. Nothing is opened until it is needed.
    pub fn new(options: Options) -> Self {
        Self::new_with(options, |_| Ok(()))
    }

    /// As [`new`](Self::new), and runs `on_open` on each connection when it was opened: for the SQL
    /// functions and collations that the application's tables may need.
    pub fn new_with<F>(options: Options, on_open: F) -> Self
    where
        F: Fn(&mut rusqlite::Connection) -> Result<(), Error> + Clone + Send + 'static,
    {
        Self {
            writer: Connection::start_with(options.sqlite.clone(), on_open.clone()),
            reader: Connection::start_with(options.sqlite.clone(), on_open),
            options: Arc::new(options),
            yielding: Arc::default(),
        }
    }

    /// Runs a job on the writer, in a transaction that other programs get a gap after.
    pub(super) async fn write<T, F>(&self, job: F) -> Result<T, Error>
    where
        F: FnOnce(&mut rusqlite::Connection, &Options) -> Result<T, Error> + Send + 'static,
        T: Send + 'static,
    {
        let options = self.options.clone();
        let yielding = self.yielding.clone();
        self.writer
            .call(move |db| yielding.around(|| job(db, &options)))
            .await
    }

    /// Runs a job on the reader.
    pub(super) async fn read<T, F>(&self, job: F) -> Result<T, Error>
    where
        F: FnOnce(&mut rusqlite::Connection, &Options) -> Result<T, Error> + Send + 'static,
        T: Send + 'static,
    {
        let options = self.options.clone();
        self.reader.call(move |db| job(db, &options)).await
    }
}

/// An SQLite error with what was being done, for `map_err`.
pub(super) fn while_doing(doing: &'static str) -> impl Fn(rusqlite::Error) -> Error {
    move |error| millstream_sqlite::error::from_rusqlite(error, doing)
}
