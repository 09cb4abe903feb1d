//! Waiting until everything has arrived everywhere.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::bail;

use crate::fleet::Fleet;
use crate::site::{Level, View};
use crate::watch::Watch;

/// How often to look.
const INTERVAL: Duration = Duration::from_millis(50);

/// How long nothing may change before the run counts as stuck: many leases, a busy machine.
const STUCK_MAX: Duration = Duration::from_secs(60);

/// Waits until all events are settled everywhere and every application has shown that.
///
/// Fails when nothing moves any more, when a process ended by itself, or when the watch saw
/// something.
pub(crate) fn settle(
    view: &View,
    fleet: &mut Fleet,
    watch: &Watch,
    events: u64,
) -> anyhow::Result<()> {
    let mut known = Level::read(view)?;
    let mut changed = Instant::now();
    while !known.is_settled(events) {
        fleet.must_live()?;
        if watch.is_over() {
            // It says what it saw when it is finished.
            return Ok(());
        }
        if changed.elapsed() > STUCK_MAX {
            bail!(
                "stuck: nothing has moved for {} s, of {events} events\n{known}\n{}",
                STUCK_MAX.as_secs(),
                fleet.last_words()
            );
        }
        thread::sleep(INTERVAL);
        let level = Level::read(view)?;
        if level != known {
            (known, changed) = (level, Instant::now());
        }
    }
    Ok(())
}
