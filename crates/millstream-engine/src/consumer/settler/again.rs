//! Parked events that are tried again.

use std::collections::HashSet;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use millstream_core::delivery::{Delivery, Outcome};
use millstream_core::entry::Entry;
use millstream_core::error::{Error, ErrorKind};
use millstream_core::limits::AGAIN_MAX;
use millstream_core::store::{Again, Batch, DeadLetter};

use super::{SAID_AGAIN, Settler, Stop};

impl Settler {
    /// Tries events again that conflicted with other rows, and what is blocked behind them, if it is
    /// time: one transaction.
    ///
    /// An error is none of the events' that arrive: it is told, and tried again later.
    pub(in crate::consumer) async fn retry(
        &mut self,
        cancel: &CancellationToken,
    ) -> Result<(), Stop> {
        let begun = Instant::now();
        let Some(after) = self.retries.is_due(begun) else {
            return Ok(());
        };
        let feed = self.lease.feed.clone();
        let letters = match self.store.waiting(&feed, after, AGAIN_MAX).await {
            Ok(letters) => letters,
            Err(error) => return self.put_off(&error),
        };
        let Some(last) = last_of_all(&letters) else {
            self.retries.end_round(Instant::now(), begun.elapsed());
            return Ok(());
        };
        let now = self.clock.now();
        let (numbers, deliveries) = self.judge_again(letters);
        let batch = Batch {
            from: self.committed.clone(),
            to: self.committed.clone(),
            deliveries: deliveries.into(),
            applied_at: now,
            again: Some(Again {
                numbers: numbers.into(),
                dead_before: now.before(self.conflict_deadline),
            }),
        };
        let applied = match self.store.apply(&self.lease, &batch).await {
            Ok(applied) => applied,
            Err(error) if error.kind() == ErrorKind::Fenced => {
                return self.look_again(&batch, &error, cancel).await.map(drop);
            }
            Err(error) => return self.put_off(&error),
        };
        let (dead, settled) = (applied.counts.get(Outcome::Dead), applied.counts.settled());
        self.retries
            .tried(last, settled + applied.repeated + dead > 0);
        if applied.counts.total() + applied.repeated > 0 {
            self.exceptions = None;
            self.unsaid = SAID_AGAIN;
        }
        if settled > 0 {
            info!(%feed, settled, "events are settled that conflicted with other rows before");
        }
        if dead > 0 {
            warn!(%feed, dead, "events are dead after their deadline: see `millstream dead-letters list`");
        }
        self.handle.update(|status| {
            status.counts.take(&applied.were);
            status.counts.merge(&applied.counts);
        });
        self.report(false).await;
        Ok(())
    }

    /// What is to be done about parked events now. One that is not for this application any more stays,
    /// and what stands behind it.
    fn judge_again(&self, letters: Vec<DeadLetter>) -> (Vec<i64>, Vec<Delivery>) {
        let mut left = HashSet::new();
        let mut judged = Vec::with_capacity(letters.len());
        for letter in letters {
            let key = (letter.tenant, letter.key);
            let entry = Entry {
                id: letter.entry,
                fields: letter.raw,
            };
            match self.judge.judge(&self.lease.feed, entry).delivery {
                Some(delivery) if !left.contains(&key) => judged.push((letter.number, delivery)),
                _ => drop(left.insert(key)),
            }
        }
        judged.into_iter().unzip()
    }

    fn put_off(&mut self, error: &Error) -> Result<(), Stop> {
        if self.retries.put_off(Instant::now()) {
            warn!(feed = %self.lease.feed, %error, "parked events cannot be tried again");
        }
        Ok(())
    }
}

/// The number behind which the next letters are to be looked for. Where these are not all, there may be
/// more of each key: the last of them that is the first of its key.
fn last_of_all(letters: &[DeadLetter]) -> Option<i64> {
    if letters.len() < AGAIN_MAX {
        return letters.last().map(|letter| letter.number);
    }
    let mut keys = HashSet::new();
    let mut last = None;
    for letter in letters {
        if keys.insert((&letter.tenant, &letter.key)) {
            last = Some(letter.number);
        }
    }
    last
}
