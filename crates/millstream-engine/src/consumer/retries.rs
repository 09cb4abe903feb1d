//! When parked events are tried again, and which come next.

use std::time::Duration;

use tokio::time::Instant;

use millstream_core::clock::Timestamp;
use millstream_core::limits::AGAIN_MAX;
use millstream_core::retry::RetryPolicy;
use millstream_core::store::DeadLetter;

/// How often a feed of which nothing is known to wait is looked at: what stood before an event may have
/// been of another feed, or a person may have marked it.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// A look takes no more than this part of the time: it goes over all that is parked.
const LOOK_SHARE: u32 = 100;

/// After tries that led to nothing, events that arrive have so many times as long for themselves.
const LIVE_SHARE: u32 = 3;

/// The rounds of a feed. In each, everything that waits when it begins is tried once.
#[derive(Debug)]
pub(super) struct Retries {
    /// When the next transaction of tries may be.
    due: Instant,
    /// The number that the round has come to; 0 before it.
    after: i64,
    /// How many are tried at a time: one by one behind a transaction that failed as a whole.
    limit: usize,
    /// When the round began, by the clock that letters are dated by.
    began_at: Timestamp,
    /// Whether the round found anything, and whether anything of that went well.
    found: bool,
    moved: bool,
    /// How long the transactions of the round have taken.
    took: Duration,
    /// Rounds in a row without success.
    failures: u32,
    /// Whether something was left out since the last one that found nothing, and in this round.
    left_out: bool,
    left_out_now: bool,
}

impl Retries {
    /// Whatever a predecessor has left is looked for at once.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            due: now,
            after: 0,
            limit: AGAIN_MAX,
            began_at: Timestamp::from_millis(0),
            found: false,
            moved: false,
            took: Duration::ZERO,
            failures: 0,
            left_out: false,
            left_out_now: false,
        }
    }

    /// The number to go on from and how many to take, if it is time.
    pub(super) fn is_due(&mut self, now: Instant, wall: Timestamp) -> Option<(i64, usize)> {
        if now < self.due {
            return None;
        }
        if self.after == 0 {
            self.began_at = wall;
        }
        Some((self.after, self.limit))
    }

    /// How long until then.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        self.due.saturating_duration_since(now)
    }

    /// Whether all of these were parked since the round began: they are for the next one, or a round
    /// would never end while more come.
    pub(super) fn is_through(&self, letters: &[DeadLetter]) -> bool {
        self.found
            && letters
                .iter()
                .all(|letter| letter.parked_at > self.began_at)
    }

    /// An event was parked that may be applied before long. What has waited for longer is tried along
    /// with it, so that a round must not follow the other at once.
    pub(super) fn parked(&mut self, now: Instant) {
        self.failures = 0;
        let wait = RetryPolicy::CONFLICT.wait_first.max(self.took * LIVE_SHARE);
        self.due = self.due.min(now + wait);
    }

    /// Events up to this number were tried, in a transaction that took so long.
    pub(super) fn tried(&mut self, last: i64, moved: bool, took: Duration, now: Instant) {
        self.after = last;
        self.found = true;
        self.moved |= moved;
        self.took += took;
        self.due = now + if moved { took } else { took * LIVE_SHARE };
    }

    /// The transaction of those up to this number failed as a whole: they are tried one by one, and the one
    /// at fault is left to the next round. Whether that is news.
    pub(super) fn failed(&mut self, last: i64, took: Duration, now: Instant) -> bool {
        if self.limit == 1 {
            self.limit = AGAIN_MAX;
            self.tried(last, false, took, now);
            self.left_out_now = true;
            return !std::mem::replace(&mut self.left_out, true);
        }
        self.limit = 1;
        self.due = now + took * LIVE_SHARE;
        false
    }

    /// There are no more; the last look took so long. Whether something was left out.
    pub(super) fn end_round(&mut self, now: Instant, took: Duration) -> bool {
        let wait = if !self.found {
            self.failures = 0;
            self.left_out = false;
            LOOK_INTERVAL
        } else {
            self.failures = match self.moved {
                true => 1,
                false => self.failures.saturating_add(1),
            };
            RetryPolicy::CONFLICT.wait(self.failures, 1.0)
        };
        self.due = now + wait.max(took * LOOK_SHARE);
        self.begin();
        std::mem::take(&mut self.left_out_now)
    }

    /// The database would not have it: the round is given up.
    pub(super) fn put_off(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        self.due = now + RetryPolicy::CONFLICT.wait(self.failures, 1.0);
        self.begin();
    }

    fn begin(&mut self) {
        (self.after, self.found, self.moved) = (0, false, false);
        (self.limit, self.took) = (AGAIN_MAX, Duration::ZERO);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    fn due(retries: &mut Retries, now: Instant) -> Option<(i64, usize)> {
        retries.is_due(now, Timestamp::from_millis(0))
    }

    #[test]
    fn rounds_become_rarer_while_nothing_moves() {
        let now = Instant::now();
        let mut retries = Retries::new(now);
        assert_eq!(due(&mut retries, now), Some((0, AGAIN_MAX)));
        retries.end_round(now, Duration::ZERO);
        assert_eq!(retries.wait(now), LOOK_INTERVAL, "nothing waits");

        retries.parked(now);
        assert_eq!(retries.wait(now), Duration::from_millis(100));
        let mut round = |moved| {
            retries.tried(7, moved, MILLI, now);
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
    fn what_arrives_has_time_for_itself() {
        let now = Instant::now();
        let mut retries = Retries::new(now);
        retries.tried(7, false, 100 * MILLI, now);
        assert_eq!(retries.wait(now), 300 * MILLI);
        assert_eq!(due(&mut retries, now), None);
        // And more that is parked does not hurry what waits for long.
        retries.parked(now);
        assert_eq!(retries.wait(now), 300 * MILLI);
    }

    #[test]
    fn a_transaction_that_fails_is_taken_apart() {
        let now = Instant::now();
        let mut retries = Retries::new(now);
        retries.tried(7, true, Duration::ZERO, now);
        assert!(!retries.failed(107, Duration::ZERO, now));
        assert_eq!(due(&mut retries, now), Some((7, 1)));
        retries.tried(8, true, Duration::ZERO, now);
        assert_eq!(due(&mut retries, now), Some((8, 1)));
        assert!(
            retries.failed(9, Duration::ZERO, now),
            "that one is at fault"
        );
        assert_eq!(due(&mut retries, now), Some((9, AGAIN_MAX)));
    }

    #[test]
    fn what_is_left_out_is_news_once() {
        let now = Instant::now();
        let mut retries = Retries::new(now);
        let mut leave_out = |ends: bool| {
            if ends {
                retries.put_off(now);
                retries.end_round(now, Duration::ZERO);
            }
            assert!(!retries.failed(9, Duration::ZERO, now), "taken apart first");
            retries.failed(9, Duration::ZERO, now)
        };
        assert!(leave_out(false));
        assert!(!leave_out(false));
        assert!(leave_out(true));
    }

    #[test]
    fn long_looks_are_rare() {
        let now = Instant::now();
        let mut retries = Retries::new(now);
        retries.end_round(now, Duration::from_secs(1));
        assert_eq!(retries.wait(now), Duration::from_secs(100));
    }
}
