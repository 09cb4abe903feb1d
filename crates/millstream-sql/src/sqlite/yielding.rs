//! Leaving gaps for the other programs that write to the file.
//!
//! SQLite has no queue for its write lock: whoever waits looks again after 1, 2, 5 … up to 100 ms
//! (`sqliteDefaultBusyCallback`). A writer that only stops for an instant between two transactions
//! starves the rest.

use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

/// The gap after each transaction that another follows at once.
const GAP: Duration = Duration::from_millis(1);

/// How long we write with such gaps only.
const BUSY_MAX: Duration = Duration::from_secs(1);

/// The gap after that: longer than any waiter sleeps.
const REST: Duration = Duration::from_millis(110);

/// When we last wrote, and since when without a rest.
#[derive(Debug, Default)]
pub(super) struct Yielding(Mutex<Option<Busy>>);

#[derive(Debug, Clone, Copy)]
struct Busy {
    since: Instant,
    until: Instant,
}

impl Yielding {
    /// Runs a transaction once the gap since the last one is wide enough.
    ///
    /// Called on the writer's thread only, which may block.
    pub(super) fn around<T>(&self, transaction: impl FnOnce() -> T) -> T {
        let busy = *self.0.lock().expect("nothing panics while it is held");
        let mut since = None;
        if let Some(busy) = busy {
            let idle = busy.until.elapsed();
            let rest = busy.until.duration_since(busy.since) > BUSY_MAX;
            let gap = if rest { REST } else { GAP };
            thread::sleep(gap.saturating_sub(idle));
            if !rest && idle < REST {
                since = Some(busy.since);
            }
        }
        let start = Instant::now();
        let result = transaction();
        let busy = Busy {
            since: since.unwrap_or(start),
            until: Instant::now(),
        };
        *self.0.lock().expect("nothing panics while it is held") = Some(busy);
        result
    }
}
