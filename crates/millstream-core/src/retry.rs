//! How long to wait before the next try.

use std::time::Duration;

/// Capped exponential backoff; the jitter is the caller's.
///
/// The engine's `Backoff` draws from one half to one, so that each wait is at least half of its step:
/// "equal jitter" ("Exponential Backoff And Jitter", AWS Architecture Blog, 2015), which never tries
/// again at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The longest first wait.
    pub wait_first: Duration,
    /// No wait is longer.
    pub wait_max: Duration,
}

impl RetryPolicy {
    /// For a server that is away: from 50 ms to 5 s.
    pub const OUTAGE: Self = Self {
        wait_first: Duration::from_millis(50),
        wait_max: Duration::from_secs(5),
    };

    /// For an event that conflicts with rows of the application: from 100 ms to 10 s.
    pub const CONFLICT: Self = Self {
        wait_first: Duration::from_millis(100),
        wait_max: Duration::from_secs(10),
    };

    /// The wait before try number `attempt`, counted from 1.
    ///
    /// `jitter` is the part of the step to wait, drawn by the caller; below 0 counts as 0, above 1
    /// as 1.
    pub fn wait(&self, attempt: u32, jitter: f64) -> Duration {
        let doublings = attempt.saturating_sub(1).min(30);
        let step = self
            .wait_first
            .saturating_mul(1 << doublings)
            .min(self.wait_max);
        step.mul_f64(jitter.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap() {
        let policy = RetryPolicy::OUTAGE;
        assert_eq!(policy.wait(1, 1.0), Duration::from_millis(50));
        assert_eq!(policy.wait(3, 1.0), Duration::from_millis(200));
        assert_eq!(policy.wait(3, 0.5), Duration::from_millis(100));
        assert_eq!(policy.wait(u32::MAX, 1.0), policy.wait_max);
        assert_eq!(policy.wait(5, 0.0), Duration::ZERO);
    }
}
