use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use millstream_core::clock::{Clock, SystemClock};
use millstream_sqlite::Location;

/// Where the embedded log is, and how it is used.
#[derive(Debug, Clone)]
pub struct Options {
    pub(super) location: Location,
    pub(super) busy_timeout: Duration,
    pub(super) clock: Arc<dyn Clock>,
}

impl Options {
    /// A file. It is made when it is missing, with its folder.
    pub fn file(path: impl AsRef<Path>) -> Self {
        Self::at(Location::File(path.as_ref().into()))
    }

    /// Memory, shared by the clones of one [`Transport`](super::Transport) and gone with the last.
    pub fn memory() -> Self {
        Self::at(Location::Memory)
    }

    fn at(location: Location) -> Self {
        Self {
            location,
            busy_timeout: Duration::from_secs(5),
            clock: Arc::new(SystemClock),
        }
    }

    /// Sets how long a write waits for those of other processes before it fails as unavailable.
    /// 5 s by default.
    #[must_use]
    pub fn busy_timeout(mut self, busy_timeout: Duration) -> Self {
        self.busy_timeout = busy_timeout;
        self
    }

    /// Sets the clock behind the ids of shared streams and the idle times of pending entries. The
    /// machine's clock by default.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }
}
