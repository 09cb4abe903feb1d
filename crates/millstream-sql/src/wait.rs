use std::time::{Duration, Instant};

use millstream_core::error::Error;

/// How often the outbox is looked at while an application is busy, and while it is not.
const POLL: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(5)..=Duration::from_millis(50);

/// Looks until something waits, or for so long.
pub(crate) async fn until<F>(wait: Duration, something_waits: impl Fn() -> F)
where
    F: Future<Output = Result<bool, Error>>,
{
    let deadline = Instant::now() + wait;
    let mut pause = *POLL.start();
    loop {
        let waiting = something_waits().await;
        // An error is met by the caller's next step; it must not come at once.
        let left = deadline.saturating_duration_since(Instant::now());
        if matches!(waiting, Ok(true)) || left.is_zero() {
            return;
        }
        tokio::time::sleep(pause.min(left)).await;
        pause = (pause * 2).min(*POLL.end());
    }
}
