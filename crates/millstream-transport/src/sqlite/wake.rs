use std::collections::HashMap;
use std::future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use millstream_core::entry::EntryId;
use millstream_core::error::Error;

use super::connect::Transport;
use super::key::Key;

/// What changes whenever a reader may find something new.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// The last id that the stream ever held.
    pub(super) last: EntryId,
    /// How often it was begun anew: that may end at the last id that it had before.
    pub(super) replaced: i64,
}

/// The marks of the streams that somebody has waited for.
///
/// Never more than there are streams, and those are named by configuration.
#[derive(Debug, Default)]
pub(super) struct Wakes(Mutex<HashMap<String, watch::Sender<Mark>>>);

impl Wakes {
    /// Wakes those who wait for the stream if this mark is news.
    pub(super) fn wake(&self, key: &str, mark: Mark) {
        let streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = streams.get(key) {
            // Not "above": a file that was removed starts anew from below.
            known.send_if_modified(|known| std::mem::replace(known, mark) != mark);
        }
    }

    fn subscribe(&self, key: &str) -> watch::Receiver<Mark> {
        let mut streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = streams.get(key) {
            return known.subscribe();
        }
        let (known, receiver) = watch::channel(Mark::default());
        streams.insert(key.into(), known);
        receiver
    }
}

impl Transport {
    /// Prepares to wait for entries of a stream, for `wait` from now on.
    pub(super) fn waiter(&self, key: &Key, wait: Duration) -> Waiter<'_> {
        Waiter {
            transport: self,
            // Nothing to wake when nobody is going to wait.
            mark: (!wait.is_zero()).then(|| self.wakes.subscribe(key.as_str())),
            deadline: Instant::now().checked_add(wait),
        }
    }
}

/// Somebody who waits for entries of a stream.
pub(super) struct Waiter<'a> {
    transport: &'a Transport,
    mark: Option<watch::Receiver<Mark>>,
    deadline: Option<Instant>,
}

impl Waiter<'_> {
    /// From here on every change counts.
    pub(super) fn listen(&mut self) {
        if let Some(mark) = &mut self.mark {
            mark.mark_unchanged();
        }
    }

    /// Waits for a change after the last [`listen`](Self::listen); false once the time is up.
    pub(super) async fn wait(&mut self) -> Result<bool, Error> {
        let Some(mark) = &mut self.mark else {
            return Ok(false);
        };
        let deadline = self.deadline;
        let over = async move {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => future::pending().await,
            }
        };
        let watching = async {
            match &self.transport.watch {
                Some(watch) => watch.run(&self.transport.wakes).await,
                None => future::pending().await,
            }
        };
        tokio::select! {
            biased;
            // The sender lives in `wakes`, which the transport holds.
            changed = mark.changed() => Ok(changed.is_ok()),
            () = over => Ok(false),
            error = watching => Err(error),
        }
    }
}
