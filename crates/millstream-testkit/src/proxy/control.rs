use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::counts::Counts;
use super::faults::Faults;
use super::mode::Mode;

/// What connections look at all the time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Control {
    pub(crate) target: SocketAddr,
    pub(crate) mode: Mode,
    /// How often all connections were cut.
    pub(crate) cuts: u64,
    /// How often the way to the server was closed on all of them.
    pub(crate) closes_up: u64,
    /// How often the way to the client was.
    pub(crate) closes_down: u64,
}

/// What the handle, the listener and the connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) control: watch::Sender<Control>,
    pub(crate) counts: watch::Sender<Counts>,
    faults: Mutex<Faults>,
}

impl Shared {
    pub(crate) fn new(target: SocketAddr) -> Arc<Self> {
        let control = Control {
            target,
            mode: Mode::Pass,
            cuts: 0,
            closes_up: 0,
            closes_down: 0,
        };
        Arc::new(Self {
            control: watch::Sender::new(control),
            counts: watch::Sender::new(Counts::default()),
            faults: Mutex::default(),
        })
    }

    pub(crate) fn count(&self, change: impl FnOnce(&mut Counts)) {
        self.counts.send_modify(change);
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
