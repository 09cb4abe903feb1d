use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use millstream_core::error::{Error, ErrorKind};

use crate::options::{Location, Options};

/// Calls that wait for the thread; who comes later waits to be let in.
const CALLS_MAX: usize = 64;

/// How often a call opens a file that is replaced meanwhile, before it gives up.
const OPENS_MAX: usize = 10;

type Call = Box<dyn FnOnce(&mut Slot) + Send>;
type OnOpen = Box<dyn FnMut(&mut rusqlite::Connection) -> Result<(), Error> + Send>;

/// A connection on a thread of its own.
///
/// The file is opened by the first call, and again after it was replaced or removed: a file that
/// went away must not go on swallowing commits. The last handle waits, within a bound, until the file
/// is closed: only then is everything in the file itself, and nothing beside it.
#[derive(Clone)]
pub struct Connection {
    calls: mpsc::Sender<Call>,
    location: Location,
    // Dropped after `calls`, whose last sender ends the thread.
    _closing: Arc<Closing>,
}

/// How long the last handle waits for the file to be closed.
const CLOSE_MAX: Duration = Duration::from_secs(5);

/// Waits for the thread when the last handle is dropped.
struct Closing {
    thread: ThreadId,
    closed: Mutex<std::sync::mpsc::Receiver<()>>,
}

impl Drop for Closing {
    fn drop(&mut self) {
        // A job may hold the last handle itself; it cannot wait for its own end.
        if thread::current().id() != self.thread
            && let Ok(closed) = self.closed.lock()
        {
            // Nothing is ever sent: it ends when the thread lets go of its side.
            closed.recv_timeout(CLOSE_MAX).ok();
        }
    }
}

impl Connection {
    /// Starts the thread. Nothing is opened yet.
    ///
    /// # Panics
    ///
    /// When the system has no thread left.
    pub fn start(options: Options) -> Self {
        Self::start_with(options, |_| Ok(()))
    }

    /// Starts the thread, and runs `on_open` each time the file was opened, before the call that
    /// needed it. If it fails, so does the call, and the next one opens the file again.
    ///
    /// # Panics
    ///
    /// When the system has no thread left.
    pub fn start_with<F>(options: Options, on_open: F) -> Self
    where
        F: FnMut(&mut rusqlite::Connection) -> Result<(), Error> + Send + 'static,
    {
        let on_open: OnOpen = Box::new(on_open);
        let (calls, mut queue) = mpsc::channel::<Call>(CALLS_MAX);
        let (open, closed) = std::sync::mpsc::sync_channel(1);
        let location = options.location.clone();
        let thread = thread::Builder::new()
            .name("sqlite".into())
            .spawn(move || {
                let _open = open;
                let mut slot = Slot {
                    options,
                    on_open,
                    open: None,
                };
                while let Some(call) = queue.blocking_recv() {
                    call(&mut slot);
                }
            })
            .expect("the system gives us a thread");
        let closing = Closing {
            thread: thread.thread().id(),
            closed: Mutex::new(closed),
        };
        Self {
            calls,
            location,
            _closing: Arc::new(closing),
        }
    }

    /// Where the database is.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// Runs `job` on the thread, after the calls that came before.
    ///
    /// # Errors
    ///
    /// Those of the job, and [`Unavailable`](ErrorKind::Unavailable) when the file cannot be opened.
    ///
    /// # Cancel safety
    ///
    /// A job that was let in runs to its end, also when nobody waits for it any more.
    pub async fn call<T, F>(&self, job: F) -> Result<T, Error>
    where
        F: FnOnce(&mut rusqlite::Connection) -> Result<T, Error> + Send + 'static,
        T: Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let call: Call = Box::new(move |slot| {
            let result = slot.run(job);
            // Whoever asked may have gone; the job is done all the same.
            drop(reply.send(result));
        });
        let gone = || Error::new(ErrorKind::Unavailable, format!("{}: closed", self.location));
        self.calls.send(call).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({})", self.location)
    }
}

/// The thread's own state: how to open the file, and the file if it is open.
struct Slot {
    options: Options,
    on_open: OnOpen,
    open: Option<(rusqlite::Connection, Option<FileId>)>,
}

/// Device and inode: what a path stood for when it was opened.
#[derive(PartialEq, Eq)]
struct FileId(u64, u64);

impl Slot {
    /// Runs a job. After a panic, or an error that another connection may not meet (a file that was
    /// read-only when it was opened, say), the file is opened anew by the next call.
    fn run<T>(
        &mut self,
        job: impl FnOnce(&mut rusqlite::Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let in_file = self.options.location != Location::Memory;
        let result = catch_unwind(AssertUnwindSafe(|| self.connection().and_then(job)));
        let result = result.unwrap_or_else(|_| {
            let text = format!("{}: a job panicked", self.options.location);
            Err(Error::new(ErrorKind::Unavailable, text))
        });
        let doubtful = |error: &Error| {
            matches!(
                error.kind(),
                ErrorKind::Unavailable | ErrorKind::Misconfigured
            )
        };
        if in_file && result.as_ref().is_err_and(doubtful) {
            self.open = None;
        }
        result
    }

    fn connection(&mut self) -> Result<&mut rusqlite::Connection, Error> {
        let on_disk = file_id(&self.options.location);
        if self
            .open
            .as_ref()
            .is_none_or(|(_, opened)| *opened != on_disk)
        {
            self.open = None;
            let (mut connection, opened) = self.open_steadily()?;
            (self.on_open)(&mut connection)?;
            self.open = Some((connection, opened));
        }
        Ok(&mut self.open.as_mut().expect("opened above").0)
    }

    /// Opens the file that the path stood for both before and after.
    ///
    /// Otherwise it may have been replaced while it was being opened: then we would hold the old
    /// one, take it for the new one, and never look again. A file that we make opens twice.
    fn open_steadily(&self) -> Result<(rusqlite::Connection, Option<FileId>), Error> {
        for _ in 0..OPENS_MAX {
            let before = file_id(&self.options.location);
            let opened = self.options.open();
            // That it was replaced also explains an error.
            if file_id(&self.options.location) == before {
                return opened.map(|connection| (connection, before));
            }
        }
        let text = format!(
            "{} is being replaced again and again",
            self.options.location
        );
        Err(Error::new(ErrorKind::Unavailable, text))
    }
}

fn file_id(location: &Location) -> Option<FileId> {
    match location {
        Location::File(path) => fs::metadata(path)
            .ok()
            .map(|meta| FileId(meta.dev(), meta.ino())),
        Location::Memory => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(db: &mut rusqlite::Connection) -> Result<i64, Error> {
        db.query_row("SELECT count(*) FROM t", [], |row| row.get(0))
            .map_err(|error| crate::error::from_rusqlite(error, "count"))
    }

    fn make(path: &std::path::Path) {
        let db = Options::file(path).create(true).open().unwrap();
        db.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1);")
            .unwrap();
    }

    #[tokio::test]
    async fn a_file_that_goes_away_is_an_outage_until_it_is_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.db");
        let connection = Connection::start(Options::file(&path));
        let error = connection.call(count).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("does not exist"), "{error}");

        make(&path);
        assert_eq!(connection.call(count).await.unwrap(), 1);

        fs::remove_file(&path).unwrap();
        assert_eq!(
            connection.call(count).await.unwrap_err().kind(),
            ErrorKind::Unavailable
        );

        make(&path);
        assert_eq!(connection.call(count).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn whoever_opens_a_removed_file_again_runs_the_hook_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made/on/demand.db");
        let options = Options::file(&path).create(true);
        let connections = [0, 1].map(|_| {
            Connection::start_with(options.clone(), |db| {
                db.execute_batch("CREATE TABLE IF NOT EXISTS t (x); INSERT INTO t VALUES (1);")
                    .map_err(|error| crate::error::from_rusqlite(error, "prepare"))
            })
        });
        assert_eq!(connections[0].call(count).await.unwrap(), 1);
        assert_eq!(connections[1].call(count).await.unwrap(), 2);

        // The write-ahead log of the removed file stays; it must not leak into the new one.
        fs::remove_file(&path).unwrap();
        assert_eq!(connections[0].call(count).await.unwrap(), 1);
        assert_eq!(connections[1].call(count).await.unwrap(), 2);
        assert_eq!(connections[0].call(count).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_job_that_panics_ends_nothing_but_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.db");
        make(&path);
        let connection = Connection::start(Options::file(&path));
        let error = connection
            .call::<(), _>(|_| panic!("on purpose"))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(connection.call(count).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn the_last_handle_leaves_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.db");
        make(&path);
        let connection = Connection::start(Options::file(&path));
        let other = connection.clone();
        other
            .call(|db| {
                db.execute_batch("INSERT INTO t VALUES (2)").unwrap();
                Ok(())
            })
            .await
            .unwrap();
        drop(connection);
        assert!(folder.path().join("app.db-wal").exists());
        drop(other);
        assert!(!folder.path().join("app.db-wal").exists());
    }

    #[tokio::test]
    async fn memory_lasts_as_long_as_the_handle() {
        let connection = Connection::start(Options::memory());
        connection
            .call(|db| {
                db.execute_batch("CREATE TABLE t (x)").unwrap();
                Ok(())
            })
            .await
            .unwrap();
        assert_eq!(connection.clone().call(count).await.unwrap(), 0);
    }
}
