//! A process that dies between two statements.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rusqlite::trace::{TraceEvent, TraceEventCodes};

/// The statements left to a process, and the files as they were before its last one.
///
/// The connections live on in the old files, which nobody will look at any more, so that none of
/// their own cleaning up is seen: SQLite must get along with a write-ahead log that simply ends.
#[derive(Clone)]
pub(super) struct Life {
    left: Arc<Mutex<Option<u64>>>,
    path: PathBuf,
}

impl Life {
    pub(super) fn new(statements: u64, path: PathBuf) -> Self {
        Self {
            left: Arc::new(Mutex::new(Some(statements))),
            path,
        }
    }

    /// Counts the statements of a connection.
    pub(super) fn live_in(&self, db: &mut rusqlite::Connection) {
        let life = self.clone();
        let statements = TraceEventCodes::SQLITE_TRACE_STMT;
        db.trace_v2(
            statements,
            Some(move |event: TraceEvent<'_>| match event {
                // A comment stands for a statement of a trigger: nothing commits within one.
                TraceEvent::Stmt(_, sql) if sql.starts_with("--") => {}
                _ => life.step(),
            }),
        )
        .unwrap();
    }

    fn step(&self) {
        let mut left = self.left.lock().unwrap();
        if *left == Some(0) {
            // The index of the log is shared memory, which dies with the process.
            for suffix in ["", "-wal"] {
                let from = with(&self.path, suffix);
                if from.exists() {
                    fs::copy(from, with(&self.remains(), suffix)).unwrap();
                }
            }
        }
        *left = left.and_then(|left| left.checked_sub(1));
    }

    /// Where the database is that the process left, if it died.
    pub(super) fn end(&self) -> Option<PathBuf> {
        let left = self.left.lock().unwrap();
        left.is_none().then(|| self.remains())
    }

    fn remains(&self) -> PathBuf {
        with(&self.path, ".left")
    }
}

fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}
