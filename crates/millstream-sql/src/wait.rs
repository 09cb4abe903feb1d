use std::time::{Duration, Instant};

use millstream_core::error::Error;

/// How often the outbox is looked at while an application is busy, and while it is not.
const POLL_MIN: Duration = Duration::from_millis(5);
const POLL_MAX: Duration = Duration::from_millis(50);

/// What lies between the looks of one wait.
fn pauses() -> impl Iterator<Item = Duration> {
    std::iter::successors(Some(POLL_MIN), |pause| Some((*pause * 2).min(POLL_MAX)))
}

/// Looks until something waits, or for so long.
pub(crate) async fn until<F>(wait: Duration, something_waits: impl Fn() -> F)
where
    F: Future<Output = Result<bool, Error>>,
{
    let deadline = Instant::now() + wait;
    for pause in pauses() {
        let waiting = something_waits().await;
        // An error is met by the caller's next step; it must not come at once.
        let left = deadline.saturating_duration_since(Instant::now());
        if matches!(waiting, Ok(true)) || left.is_zero() {
            return;
        }
        tokio::time::sleep(pause.min(left)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the manual says of how long an event lies there.
    #[test]
    fn an_outbox_is_looked_at_every_5_to_50_ms() {
        let pauses: Vec<_> = pauses().map(|pause| pause.as_millis()).take(7).collect();
        assert_eq!(pauses, [5, 10, 20, 40, 50, 50, 50]);
    }
}
