use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

/// How long anything may take that servers do by themselves.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// Between two looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// Time to look again and again, since neither a process nor Redis has a signal for what tests wait
/// for.
#[derive(Debug)]
pub(crate) struct Wait {
    end: Instant,
    otherwise: &'static str,
}

impl Wait {
    pub(crate) fn new(otherwise: &'static str) -> Self {
        Self {
            end: Instant::now() + WAIT_MAX,
            otherwise,
        }
    }

    /// Returns when it is time to look once more; fails when it has taken too long.
    pub(crate) async fn again(&self) -> Result<()> {
        ensure!(Instant::now() < self.end, "{}", self.otherwise);
        tokio::time::sleep(LOOK_INTERVAL).await;
        Ok(())
    }
}
