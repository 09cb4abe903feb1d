//! Keeps many clients from storming a server that comes back.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::error::Fault;

/// Connections that one process opens to one server at a time.
const OPENING_MAX: usize = 4;

/// The longest pause after the first failure; it doubles with each further one.
const PAUSE_MIN: Duration = Duration::from_millis(50);

/// The longest pause of all.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Lets few through at a time, and after a failure none for a while of random length. Who comes in
/// between hears of that failure at once.
pub(super) struct Gate {
    opening: Semaphore,
    state: Mutex<State>,
}

struct State {
    failures: u32,
    shut: Option<(Instant, Fault)>,
    random: StdRng,
}

impl Gate {
    pub(super) fn new() -> Self {
        Self {
            opening: Semaphore::new(OPENING_MAX),
            state: Mutex::new(State {
                failures: 0,
                shut: None,
                random: rand::make_rng(),
            }),
        }
    }

    /// Waits for one's turn, unless the gate is shut.
    pub(super) async fn pass(&self) -> Result<SemaphorePermit<'_>, Fault> {
        self.check()?;
        let permit = self.opening.acquire().await.expect("it is never closed");
        // Who stood before us may have failed.
        self.check()?;
        Ok(permit)
    }

    fn check(&self) -> Result<(), Fault> {
        match &self.state().shut {
            Some((until, fault)) if Instant::now() < *until => Err(fault.clone()),
            _ => Ok(()),
        }
    }

    /// Opens the gate.
    pub(super) fn succeeded(&self) {
        let mut state = self.state();
        state.failures = 0;
        state.shut = None;
    }

    /// Shuts the gate for a while.
    pub(super) fn failed(&self, fault: &Fault) {
        let mut state = self.state();
        // All connections of one outage end at once: that is one failure.
        if matches!(&state.shut, Some((until, _)) if Instant::now() < *until) {
            return;
        }
        let longest = PAUSE_MIN
            .saturating_mul(1 << state.failures.min(16))
            .min(PAUSE_MAX);
        let pause = longest.mul_f64(state.random.random_range(0.5..1.0));
        state.failures += 1;
        state.shut = Some((Instant::now() + pause, fault.clone()));
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_and_end() {
        let gate = Gate::new();
        for longest in [50, 100, 200, 400, 800, 1_600, 2_000, 2_000] {
            drop(gate.pass().await.expect("the last pause is over"));
            for _connection in 0..3 {
                gate.failed(&Fault::away("down"));
            }
            assert!(gate.pass().await.is_err());
            tokio::time::advance(Duration::from_millis(longest / 2 - 1)).await;
            assert!(gate.pass().await.is_err(), "{longest}");
            tokio::time::advance(Duration::from_millis(longest / 2 + 2)).await;
        }
        gate.failed(&Fault::away("down"));
        gate.succeeded();
        drop(gate.pass().await.expect("it is open"));
        gate.failed(&Fault::away("down"));
        tokio::time::advance(PAUSE_MIN).await;
        drop(gate.pass().await.expect("the first pause is short again"));
    }

    #[tokio::test(start_paused = true)]
    async fn few_pass_at_a_time() {
        let gate = Gate::new();
        let mut inside = Vec::new();
        for _ in 0..OPENING_MAX {
            inside.push(gate.pass().await.expect("it is open"));
        }
        let waiting = tokio::time::timeout(PAUSE_MAX, gate.pass());
        assert!(waiting.await.is_err());
        inside.pop();
        drop(gate.pass().await.expect("one has left"));
    }
}
