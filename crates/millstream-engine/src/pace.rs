//! How many events one transaction takes.

use std::time::Duration;

/// Chooses batch sizes so that a transaction holds its locks for about the time it may.
///
/// A batch is never larger than what has arrived, so an idle consumer settles each event at once;
/// one that is behind grows its batches until they fill the time.
#[derive(Debug, Clone)]
pub struct Pace {
    target: Duration,
    max: usize,
    size: usize,
}

/// Also a database on a slow disk, whose every commit takes longer than the target, gets batches
/// that are worth a commit.
const SIZE_MIN: usize = 32;

impl Pace {
    /// Aims for transactions of `target`, of at most `max` events.
    pub fn new(target: Duration, max: usize) -> Self {
        Self {
            target,
            max,
            size: SIZE_MIN.min(max),
        }
    }

    /// How many events the next transaction may take.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Learns that `events` took `took`.
    pub fn observe(&mut self, events: usize, took: Duration) {
        // A small batch says little about a large one: most of its time is the commit itself.
        if events * 2 < self.size {
            return;
        }
        let ratio = self.target.as_secs_f64() / took.as_secs_f64().max(1e-6);
        let factor = ratio.clamp(0.5, 2.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a batch size is a small positive number"
        )]
        let size = (self.size as f64 * factor) as usize;
        self.size = size.clamp(SIZE_MIN.min(self.max), self.max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Duration = Duration::from_millis(20);

    /// Batches of full size until the size no longer changes; each costs `commit` and `event`s.
    fn settle(commit: Duration, event: Duration) -> usize {
        let mut pace = Pace::new(TARGET, 1_000);
        for _ in 0..50 {
            let size = pace.size();
            pace.observe(size, commit + event * u32::try_from(size).unwrap());
        }
        pace.size()
    }

    #[test]
    fn grows_until_the_time_is_filled() {
        let size = settle(Duration::from_millis(2), Duration::from_micros(50));
        assert!((300..=400).contains(&size), "{size}");
        assert_eq!(
            settle(Duration::from_millis(1), Duration::from_micros(5)),
            1_000
        );
        assert_eq!(
            settle(Duration::from_millis(100), Duration::from_millis(5)),
            SIZE_MIN
        );
    }

    #[test]
    fn an_idle_spell_does_not_shrink_it() {
        let mut pace = Pace::new(TARGET, 1_000);
        for _ in 0..20 {
            pace.observe(pace.size(), Duration::from_millis(1));
        }
        pace.observe(1, Duration::from_millis(15));
        assert_eq!(pace.size(), 1_000);
    }
}
