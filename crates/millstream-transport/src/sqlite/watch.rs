use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use millstream_core::error::Error;
use millstream_sqlite::Connection;

use super::call::{Fault, call};
use super::id::Columns;
use super::wake::{Mark, Wakes};

/// How often the file is looked at just after another process wrote to it.
pub const POLL_MIN: Duration = Duration::from_millis(5);

/// How often the file is looked at while nothing happens.
pub const POLL_MAX: Duration = Duration::from_millis(25);

/// Looks out for what other processes write.
///
/// Whoever waits runs it, one at a time; when that one stops waiting, the next takes over. So
/// nothing runs when nobody waits, and there is no task that could be forgotten.
#[derive(Debug)]
pub(super) struct Watch {
    connection: Connection,
    opened: Arc<AtomicU64>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    seen: Option<Version>,
    pause: Duration,
    next: Instant,
}

/// Another one after each commit of another connection, and after the file was opened again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Version {
    opened: u64,
    data: i64,
}

impl Watch {
    /// `opened` counts how often the connection has opened its file.
    pub(super) fn new(connection: Connection, opened: Arc<AtomicU64>) -> Self {
        let state = State {
            seen: None,
            pause: POLL_MIN,
            next: Instant::now(),
        };
        Self {
            connection,
            opened,
            state: Mutex::new(state),
        }
    }

    /// Watches until it fails.
    pub(super) async fn run(&self, wakes: &Wakes) -> Error {
        let mut state = self.state.lock().await;
        loop {
            tokio::time::sleep_until(state.next).await;
            let found = match self.look(state.seen).await {
                Ok(found) => found,
                Err(error) => return error,
            };
            state.pause = match found {
                Some((version, streams)) => {
                    for (key, mark) in streams {
                        wakes.wake(&key, mark);
                    }
                    state.seen = Some(version);
                    POLL_MIN
                }
                None => POLL_MAX.min(state.pause * 5 / 4),
            };
            state.next = Instant::now() + state.pause;
        }
    }

    /// The marks of all streams, unless nothing was committed since the version `seen`.
    async fn look(
        &self,
        seen: Option<Version>,
    ) -> Result<Option<(Version, Vec<(String, Mark)>)>, Error> {
        let opened = Arc::clone(&self.opened);
        call(&self.connection, "watch", "all streams", move |db| {
            let data = db
                .prepare_cached("PRAGMA data_version")?
                .query_row([], |row| row.get::<_, i64>(0))?;
            let version = Version {
                opened: opened.load(Ordering::Relaxed),
                data,
            };
            if seen == Some(version) {
                return Ok(None);
            }
            // After the version: what is committed in between is seen now and once more.
            let streams = db
                .prepare_cached("SELECT key, high, low, replaced FROM streams")?
                .query_map([], |row| {
                    let mark = Mark {
                        last: Columns::of(row)?.id(),
                        replaced: row.get("replaced")?,
                    };
                    Ok((row.get("key")?, mark))
                })?
                .collect::<Result<Vec<_>, _>>()?;
            Ok::<_, Fault>(Some((version, streams)))
        })
        .await
    }
}
