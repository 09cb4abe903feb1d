//! Waiting between tries, interruptible by shutdown.

use std::time::Duration;

use rand::RngExt;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio_util::sync::CancellationToken;

use millstream_core::retry::RetryPolicy;

/// Counts failures in a row and waits longer after each.
#[derive(Debug)]
pub struct Backoff {
    policy: RetryPolicy,
    random: StdRng,
    failures: u32,
}

impl Backoff {
    /// Waits by `policy`, with jitter from `seed`.
    pub fn new(policy: RetryPolicy, seed: u64) -> Self {
        Self {
            policy,
            random: StdRng::seed_from_u64(seed),
            failures: 0,
        }
    }

    /// How many failures there were since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Forgets the failures.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Waits before the next try. False when shutdown came first.
    pub async fn wait(&mut self, shutdown: &CancellationToken) -> bool {
        self.failures = self.failures.saturating_add(1);
        let wait = self
            .policy
            .wait(self.failures, self.random.random_range(0.5..=1.0));
        pause(wait, shutdown).await
    }
}

/// Waits. False when shutdown came first.
pub async fn pause(wait: Duration, shutdown: &CancellationToken) -> bool {
    tokio::select! {
        () = tokio::time::sleep(wait) => true,
        () = shutdown.cancelled() => false,
    }
}
