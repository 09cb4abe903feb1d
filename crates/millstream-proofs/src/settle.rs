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

/// How long it may take altogether.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bound {
    /// As long as something moves.
    Still,
    /// So long, whether something moves or not.
    Within(Duration),
}

/// Waits until all events are settled everywhere and every application has shown that.
///
/// Fails when nothing moves any more, when a process ended by itself, or when the watch saw
/// something.
pub(crate) fn settle(
    view: &View,
    fleet: &mut Fleet,
    watch: &Watch,
    events: u64,
    bound: Bound,
) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut known = Level::read(view)?;
    let mut changed = Instant::now();
    while !known.is_settled(events) {
        fleet.must_live()?;
        if watch.is_over() {
            // It says what it saw when it is finished.
            return Ok(());
        }
        let late = matches!(bound, Bound::Within(most) if started.elapsed() > most);
        if late || changed.elapsed() > STUCK_MAX {
            bail!(
                "stuck: not settled after {:.0} s, nothing has moved for {:.0} s, of {events} \
                 events\n{known}\n{}",
                started.elapsed().as_secs_f64(),
                changed.elapsed().as_secs_f64(),
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
