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

/// How much longer we hold the lock than leave it, before others get a rest.
const HELD_MAX: Duration = Duration::from_secs(1);

/// The gap after that: longer than any waiter sleeps.
const REST: Duration = Duration::from_millis(110);

/// What we owe to the others.
#[derive(Debug, Default)]
pub(super) struct Yielding(Mutex<Option<Debt>>);

#[derive(Debug, Clone, Copy)]
struct Debt {
    /// How much longer the lock was held than free.
    held: Duration,
    /// When it was let go.
    until: Instant,
}

impl Yielding {
    /// Runs a transaction once the gap since the last one is wide enough.
    ///
    /// Called on the writer's thread only, which may block.
    pub(super) fn around<T>(&self, transaction: impl FnOnce() -> T) -> T {
        let debt = *self.0.lock().expect("nothing panics while it is held");
        let mut held = Duration::ZERO;
        if let Some(debt) = debt {
            let free = debt.until.elapsed();
            held = debt.held.saturating_sub(free);
            if held > HELD_MAX {
                thread::sleep(REST.saturating_sub(free));
                held = Duration::ZERO;
            } else {
                thread::sleep(GAP.saturating_sub(free));
            }
        }
        let start = Instant::now();
        let result = transaction();
        let until = Instant::now();
        let debt = Debt {
            held: held + until.duration_since(start),
            until,
        };
        *self.0.lock().expect("nothing panics while it is held") = Some(debt);
        result
    }
}
