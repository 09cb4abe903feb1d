//! What must hold at every moment, watched while processes are killed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};

use crate::site::level::{Marks, checkpoints};
use crate::site::{Log, View};

/// How often to look.
const INTERVAL: Duration = Duration::from_millis(1);

/// How often to look where others have to answer for it.
const INTERVAL_SERVED: Duration = Duration::from_millis(50);

/// Looks at the promises that hold at any time:
///
/// - a position is published only after the transaction that settled it has committed;
/// - an entry is appended only after the transaction that numbered it has committed;
/// - a checkpoint and what was numbered never go back; on the embedded log, which loses nothing,
///   neither do positions and the stream itself.
///
/// A server may hold what somebody else has added to a stream: there, only what the relay has
/// numbered is looked at.
///
/// What is promised to come second is read first, so that whatever happens in between only helps.
#[derive(Debug)]
pub(crate) struct Watch {
    stop: Arc<AtomicBool>,
    /// None once it has ended.
    thread: Option<JoinHandle<anyhow::Result<u64>>>,
}

impl Watch {
    /// Begins to look, in a thread.
    pub(crate) fn start(view: View) -> Self {
        let interval = match view.log {
            Log::Embedded(_) => INTERVAL,
            Log::Served(_) => INTERVAL_SERVED,
        };
        let mut eyes = Eyes {
            view,
            known: Vec::new(),
        };
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let thread = thread::spawn(move || {
            let mut looks = 0;
            while !told.load(Ordering::Relaxed) {
                eyes.look()?;
                looks += 1;
                thread::sleep(interval);
            }
            Ok(looks)
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }

    /// Whether something was seen, or looking failed.
    pub(crate) fn is_over(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Ends it, and tells how often it looked, or what it saw.
    pub(crate) fn finish(&mut self) -> anyhow::Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().context("it has ended before")?;
        thread.join().map_err(|_| anyhow!("the watch panicked"))?
    }
}

struct Eyes {
    view: View,
    /// What each kind of mark was at the last look.
    known: Vec<Marks>,
}

impl Eyes {
    fn look(&mut self) -> anyhow::Result<()> {
        let forgets = matches!(self.view.log, Log::Served(_));
        let mut seen = Vec::new();
        for (application, db) in self.view.followers() {
            let positions = self.view.log.positions(application)?;
            let checkpoints = checkpoints(db, "consumer")?;
            let above = above(&positions, &checkpoints);
            ensure!(
                above.is_none(),
                "{application} has published a position that it has not committed: {above:?}, its \
                 checkpoints are {checkpoints:?}"
            );
            seen.push(checkpoints);
            seen.extend((!forgets).then_some(positions));
        }
        if forgets {
            seen.push(checkpoints(&self.view.crm, "relay")?);
        } else {
            let last = self.view.log.last()?;
            let tops = checkpoints(&self.view.crm, "relay")?;
            let above = above(&last, &tops);
            ensure!(
                above.is_none(),
                "the log holds what the outbox has not numbered: {above:?}"
            );
            seen.extend([last, tops]);
        }

        for (before, now) in self.known.iter().zip(&seen) {
            let back = above_any(before, now);
            ensure!(!back, "something went back: from {before:?} to {now:?}");
        }
        self.known = seen;
        Ok(())
    }
}

/// A mark that is above its bound.
fn above(marks: &Marks, bounds: &Marks) -> Option<(u16, String)> {
    let bound = |shard| bounds.get(shard).copied().unwrap_or_default();
    let above = marks.iter().find(|(shard, mark)| **mark > bound(*shard));
    above.map(|(shard, mark)| (*shard, mark.to_string()))
}

fn above_any(marks: &Marks, bounds: &Marks) -> bool {
    above(marks, bounds).is_some()
}
