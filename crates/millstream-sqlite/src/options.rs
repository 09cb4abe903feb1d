use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{ErrorCode, OpenFlags};

use millstream_core::error::{Error, ErrorKind};

use crate::error::from_rusqlite;

/// Where a database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// In this file.
    File(PathBuf),
    /// In memory, for as long as one connection lasts.
    Memory,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Memory => f.write_str(":memory:"),
        }
    }
}

/// When a commit counts as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Synchronous {
    /// When it would survive a power cut.
    Full,
    /// When it would survive a crash of the process. For what can be made again.
    Normal,
}

/// How to open a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Where it is.
    pub location: Location,
    /// Whether a missing file and its folder are made. Otherwise it is an outage, over once the file is there.
    pub create: bool,
    /// When a commit counts as done. Full by default.
    pub synchronous: Synchronous,
    /// How long a statement waits for a lock that another connection holds. 5 s by default.
    pub busy_timeout: Duration,
}

impl Options {
    /// An existing file.
    pub fn file(path: impl AsRef<Path>) -> Self {
        Self {
            location: Location::File(path.as_ref().into()),
            create: false,
            synchronous: Synchronous::Full,
            busy_timeout: Duration::from_secs(5),
        }
    }

    /// A database in memory.
    pub fn memory() -> Self {
        Self {
            location: Location::Memory,
            create: true,
            ..Self::file("")
        }
    }

    /// Sets whether a missing file is made.
    #[must_use]
    pub fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// Sets when a commit counts as done.
    #[must_use]
    pub fn synchronous(mut self, synchronous: Synchronous) -> Self {
        self.synchronous = synchronous;
        self
    }

    /// Sets how long a statement waits for a lock.
    #[must_use]
    pub fn busy_timeout(mut self, busy_timeout: Duration) -> Self {
        self.busy_timeout = busy_timeout;
        self
    }

    /// Opens a connection with our settings on the calling thread.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable) when the file is missing or locked,
    /// [`Misconfigured`](ErrorKind::Misconfigured) when it is no database.
    pub fn open(&self) -> Result<rusqlite::Connection, Error> {
        let context = || format!("cannot open {}", self.location);
        let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        if self.create {
            flags |= OpenFlags::SQLITE_OPEN_CREATE;
        }
        let path = match &self.location {
            Location::File(path) if !self.create && !path.exists() => {
                return Err(Error::new(
                    ErrorKind::Unavailable,
                    format!("{} does not exist", path.display()),
                ));
            }
            Location::File(path) => path.as_path(),
            Location::Memory => Path::new(":memory:"),
        };
        let _making = match &self.location {
            Location::File(path) if self.create => make_room(path).map_err(|error| {
                let kind = match error.kind() {
                    io::ErrorKind::PermissionDenied => ErrorKind::Misconfigured,
                    _ => ErrorKind::Unavailable,
                };
                Error::with_source(kind, context(), error)
            })?,
            _ => None,
        };
        let connection = rusqlite::Connection::open_with_flags(path, flags)
            .map_err(|error| from_rusqlite(error, context()))?;
        self.check_writable(&connection)?;
        self.configure(&connection)
            .map_err(|error| from_rusqlite(error, context()))?;
        self.check_wal(&connection)?;
        Ok(connection)
    }

    /// Refuses a file that SQLite opened for reading only.
    ///
    /// Before anything is read: that makes the files of the write-ahead log, with the same permissions,
    /// and they would stay when the file itself may be written again.
    fn check_writable(&self, connection: &rusqlite::Connection) -> Result<(), Error> {
        let failed = |error| from_rusqlite(error, format!("cannot open {}", self.location));
        if connection.is_readonly("main").map_err(failed)? {
            let text = format!("{} cannot be written: check its permissions", self.location);
            return Err(Error::new(ErrorKind::Unavailable, text));
        }
        Ok(())
    }

    /// Refuses a file that cannot be kept in the mode that we need.
    fn check_wal(&self, connection: &rusqlite::Connection) -> Result<(), Error> {
        let Location::File(path) = &self.location else {
            return Ok(());
        };
        let path = path.display();
        let failed = |error| from_rusqlite(error, format!("cannot open {path}"));
        let mode: String = connection
            .pragma_query_value(None, "journal_mode", |row| row.get(0))
            .map_err(failed)?;
        if mode != "wal" {
            let text = format!("{path}: its file system cannot hold SQLite's write-ahead log");
            return Err(Error::new(ErrorKind::Misconfigured, text));
        }
        Ok(())
    }

    fn configure(&self, connection: &rusqlite::Connection) -> rusqlite::Result<()> {
        connection.busy_timeout(self.busy_timeout)?;
        if self.location != Location::Memory {
            // Readers of other programs never wait for our writes, nor we for theirs.
            self.switch_to_wal(connection)?;
        }
        let synchronous = match self.synchronous {
            Synchronous::Full => "full",
            Synchronous::Normal => "normal",
        };
        connection.pragma_update(None, "synchronous", synchronous)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED_MAX);
        Ok(())
    }

    /// Retries by itself, since the switch upgrades a read lock: to that SQLite answers "busy" at
    /// once, without its busy timeout, when several processes open a new file together.
    fn switch_to_wal(&self, connection: &rusqlite::Connection) -> rusqlite::Result<()> {
        let deadline = Instant::now() + self.busy_timeout;
        loop {
            let mode = connection.pragma_update_and_check(None, "journal_mode", "wal", |row| {
                row.get::<_, String>(0)
            });
            match mode {
                Ok(_) => return Ok(()),
                Err(error)
                    if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                        && Instant::now() < deadline =>
                {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// Waits for the right to make a file, until the guard is dropped. None if the file is there.
///
/// What a removed file left beside it must go before a new one is made: connections that are still
/// open on the removed one hold its `-shm`, and SQLite would take that for the new file's. The lock
/// on the folder keeps a second process from removing what the first has just made.
fn make_room(path: &Path) -> io::Result<Option<File>> {
    if path.exists() {
        return Ok(None);
    }
    let folder = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder)?;
    let lock = File::open(folder)?;
    lock.lock()?;
    if !path.exists() {
        for suffix in ["-wal", "-shm"] {
            let mut left_over = path.as_os_str().to_owned();
            left_over.push(suffix);
            match fs::remove_file(&left_over) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(Some(lock))
}

/// Statements kept prepared by a connection.
const STATEMENTS_CACHED_MAX: usize = 256;
