//! When parked events are tried again, and which come next.

use std::time::Duration;

use tokio::time::Instant;

use millstream_core::retry::RetryPolicy;

/// How often a feed of which nothing is known to wait is looked at: what stood before an event may have
/// been of another feed, or a person may have marked it.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// A look takes no more than this part of the time: it goes over all that is parked.
const LOOK_SHARE: u32 = 100;

/// The rounds of a feed. In each, everything that waits is tried once.
#[derive(Debug)]
pub(super) struct Retries {
    /// When the next transaction of tries may be.
    due: Instant,
    /// The number that the round has come to; 0 before it.
    after: i64,
    /// Whether the round found anything, and whether anything of that went well.
    found: bool,
    moved: bool,
    /// Rounds in a row without success.
    failures: u32,
    /// Whether the last one was given up.
    given_up: bool,
}

impl Retries {
    /// Whatever a predecessor has left is looked for at once.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            due: now,
            after: 0,
            found: false,
            moved: false,
            failures: 0,
            given_up: false,
        }
    }

    /// The number to go on from, if it is time.
    pub(super) fn is_due(&self, now: Instant) -> Option<i64> {
        (now >= self.due).then_some(self.after)
    }

    /// How long until then.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        self.due.saturating_duration_since(now)
    }

    /// An event was parked that may be applied before long.
    pub(super) fn parked(&mut self, now: Instant) {
        self.failures = 0;
        self.due = self.due.min(now + RetryPolicy::CONFLICT.wait_first);
    }

    /// Events up to this number were tried.
    pub(super) fn tried(&mut self, last: i64, moved: bool) {
        self.after = last;
        self.found = true;
        self.moved |= moved;
    }

    /// There are no more; the look took so long.
    pub(super) fn end_round(&mut self, now: Instant, took: Duration) {
        let wait = if !self.found {
            self.failures = 0;
            LOOK_INTERVAL
        } else {
            self.failures = if self.moved {
                1
            } else {
                self.failures.saturating_add(1)
            };
            RetryPolicy::CONFLICT.wait(self.failures, 1.0)
        };
        self.due = now + wait.max(took * LOOK_SHARE);
        self.given_up = false;
        (self.after, self.found, self.moved) = (0, false, false);
    }

    /// The database would not have it: the round is given up. Whether that is news.
    pub(super) fn put_off(&mut self, now: Instant) -> bool {
        self.failures = self.failures.saturating_add(1);
        self.due = now + RetryPolicy::CONFLICT.wait(self.failures, 1.0);
        (self.after, self.found, self.moved) = (0, false, false);
        !std::mem::replace(&mut self.given_up, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_become_rarer_while_nothing_moves() {
        let now = Instant::now();
        let mut retries = Retries::new(now);
        assert_eq!(retries.is_due(now), Some(0));
        retries.end_round(now, Duration::ZERO);
        assert_eq!(retries.wait(now), LOOK_INTERVAL, "nothing waits");

        retries.parked(now);
        assert_eq!(retries.wait(now), Duration::from_millis(100));
        let mut round = |moved| {
            retries.tried(7, moved);
            assert_eq!(retries.after, 7);
            retries.end_round(now, Duration::ZERO);
            assert_eq!(retries.after, 0);
            retries.wait(now).as_millis()
        };
        assert_eq!([round(false), round(false), round(false)], [100, 200, 400]);
        assert_eq!(round(true), 100, "something has moved");
        assert_eq!(round(false), 200);
        assert_eq!((0..10).map(|_| round(false)).last(), Some(10_000));
    }

    #[test]
    fn a_round_that_is_given_up_is_news_once() {
        let now = Instant::now();
        let mut retries = Retries::new(now);
        assert!(retries.put_off(now));
        assert!(!retries.put_off(now));
        retries.end_round(now, Duration::ZERO);
        assert!(retries.put_off(now));
    }

    #[test]
    fn long_looks_are_rare() {
        let now = Instant::now();
        let mut retries = Retries::new(now);
        retries.end_round(now, Duration::from_secs(1));
        assert_eq!(retries.wait(now), Duration::from_secs(100));
    }
}
