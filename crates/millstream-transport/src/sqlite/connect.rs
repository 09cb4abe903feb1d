use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tracing::warn;

use millstream_core::clock::Clock;
use millstream_core::error::Error;
use millstream_sqlite::{Connection, Location, Options as FileOptions, Synchronous};

use super::migrate::migrate;
use super::options::Options;
use super::wake::Wakes;
use super::watch::Watch;

/// A handle on the embedded log. Clones share its connections.
#[derive(Clone)]
pub struct Transport {
    /// For what must survive a power cut.
    pub(super) durable: Connection,
    /// For what is made again if a power cut loses it.
    pub(super) relaxed: Connection,
    /// For reading, so that a reader never stands in line behind a disk that syncs.
    pub(super) reading: Connection,
    pub(super) wakes: Arc<Wakes>,
    /// None in memory: nobody else writes there.
    pub(super) watch: Option<Arc<Watch>>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Transport {
    /// Opens the log, and makes file, folder and tables where they are missing.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](millstream_core::error::ErrorKind::Unavailable) when the file cannot be
    /// opened now, [`Misconfigured`](millstream_core::error::ErrorKind::Misconfigured) when it is
    /// another kind of file or was written by a newer version.
    pub async fn connect(options: Options) -> Result<Self, Error> {
        let Options {
            location,
            busy_timeout,
            clock,
        } = options;
        let in_memory = location == Location::Memory;
        let file = match &location {
            Location::File(path) => FileOptions::file(path).create(true),
            Location::Memory => FileOptions::memory(),
        }
        .busy_timeout(busy_timeout);

        let connected = Arc::new(AtomicBool::new(false));
        let prepare = {
            let connected = Arc::clone(&connected);
            move |db: &mut rusqlite::Connection| {
                let made = migrate(db, &location)?;
                if made && connected.load(Ordering::Relaxed) {
                    warn!(file = %location, "embedded log was removed, made an empty one");
                }
                Ok(())
            }
        };
        let durable = Connection::start_with(file.clone(), prepare.clone());
        durable.call(|_| Ok(())).await?;
        connected.store(true, Ordering::Relaxed);
        let wakes = Arc::new(Wakes::default());
        if in_memory {
            return Ok(Self {
                relaxed: durable.clone(),
                reading: durable.clone(),
                durable,
                wakes,
                watch: None,
                clock,
            });
        }

        let opened = Arc::new(AtomicU64::new(0));
        let watching = Connection::start_with(file.clone(), {
            let (prepare, opened) = (prepare.clone(), Arc::clone(&opened));
            move |db| {
                opened.fetch_add(1, Ordering::Relaxed);
                prepare(db)
            }
        });
        Ok(Self {
            relaxed: Connection::start_with(
                file.clone().synchronous(Synchronous::Normal),
                prepare.clone(),
            ),
            reading: Connection::start_with(file, prepare),
            durable,
            wakes,
            watch: Some(Arc::new(Watch::new(watching, opened))),
            clock,
        })
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sqlite::Transport({})", self.durable.location())
    }
}
