//! Parked events that are tried again.

use std::collections::HashSet;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use millstream_core::clock::Timestamp;
use millstream_core::delivery::{Delivery, Outcome};
use millstream_core::entry::Entry;
use millstream_core::error::ErrorKind;
use millstream_core::lease::Checkpoint;
use millstream_core::store::{Again, Batch, DeadLetter};

use super::{SAID_AGAIN, Settler, Stop};
use crate::status::{FeedStatus, State};

/// No deadline is over.
const NEVER: Timestamp = Timestamp::from_millis(i64::MIN);

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
        let Some((after, limit)) = self.retries.is_due(begun, self.clock.now()) else {
            return Ok(());
        };
        let feed = self.lease.feed.clone();
        let letters = match self.store.waiting(&feed, after, limit).await {
            Ok(letters) => letters,
            Err(error) => {
                debug!(%feed, %error, "parked events cannot be looked at");
                self.retries.put_off(Instant::now());
                return Ok(());
            }
        };
        let last = last_of_all(&letters, limit);
        let Some(last) = last.filter(|_| !self.retries.is_through(&letters)) else {
            let obstructed = self.retries.end_round(Instant::now(), begun.elapsed());
            self.handle
                .update_feed(&feed, |feed| feed.obstructed = obstructed);
            return Ok(());
        };
        let Some(at) = self.where_it_is().await else {
            self.retries.put_off(Instant::now());
            return Ok(());
        };
        let now = self.clock.now();
        let (numbers, deliveries) = self.judge_again(letters);
        let batch = Batch {
            from: at.clone(),
            to: at,
            deliveries: deliveries.into(),
            applied_at: now,
            set_aside: None,
            again: Some(Again {
                numbers: numbers.into(),
                dead_before: self.dead_before(now),
            }),
        };
        let applied = self.judge.apply(&*self.store, &self.lease, &batch);
        let applied = match applied.await {
            Ok(applied) => applied,
            Err(error) if error.kind() == ErrorKind::Fenced => {
                return self.look_again(&batch, &error, cancel).await.map(drop);
            }
            Err(error) => {
                // Its answer may have got lost, and it is somebody else's if not.
                self.said_otherwise();
                if self.retries.failed(last, begun.elapsed(), Instant::now()) {
                    warn!(%feed, %error, "parked events cannot be tried again");
                }
                return Ok(());
            }
        };
        let (dead, settled) = (applied.counts.get(Outcome::Dead), applied.counts.settled());
        let moved = settled + applied.repeated + dead > 0;
        self.retries
            .tried(last, moved, begun.elapsed(), Instant::now());
        if applied.counts.total() + applied.repeated > 0 {
            self.said_otherwise();
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

    /// What is parked is not as the last receipt says, or may not be.
    pub(super) fn said_otherwise(&mut self) {
        self.exceptions = None;
        self.unsaid = SAID_AGAIN;
    }

    /// The checkpoint, which stays. Of those that compete for a shared stream each is somewhere else.
    async fn where_it_is(&self) -> Option<Checkpoint> {
        if !self.lease.is_shared_out() {
            return Some(self.committed.clone());
        }
        self.store.checkpoint(&self.lease).await.ok().flatten()
    }

    /// What was parked before this is dead if it conflicts once more. Only time counts in which every
    /// feed was running: what an event waits for may be behind something that is away.
    fn dead_before(&mut self, now: Timestamp) -> Timestamp {
        let status = self.handle.status();
        let runs = |feed: &FeedStatus| feed.state == State::Running && !feed.obstructed;
        if status.paused.is_some() || !status.feeds.values().all(runs) {
            self.undisturbed = Instant::now();
        }
        match self.undisturbed.elapsed() >= self.conflict_deadline {
            true => now.before(self.conflict_deadline),
            false => NEVER,
        }
    }

    /// What is to be done about parked events now. One that is not for this application any more, or not
    /// of the key that it was parked under, stays, and so does what stands behind it.
    fn judge_again(&self, letters: Vec<DeadLetter>) -> (Vec<i64>, Vec<Delivery>) {
        let mut left = HashSet::new();
        let mut judged = Vec::with_capacity(letters.len());
        for letter in letters {
            let key = (letter.tenant, letter.key);
            let entry = Entry {
                id: letter.entry,
                fields: letter.raw,
            };
            let delivery = self.judge.judge(&self.lease.feed, entry).delivery;
            match delivery.filter(|delivery| is_of(delivery, &key)) {
                Some(delivery) if !left.contains(&key) => judged.push((letter.number, delivery)),
                _ => drop(left.insert(key)),
            }
        }
        judged.into_iter().unzip()
    }
}

/// Whether a delivery is of the tenant and key that its letter names.
fn is_of(delivery: &Delivery, (tenant, key): &(Option<String>, Option<String>)) -> bool {
    let own = delivery.key();
    own.map(|own| own.0.as_str()) == tenant.as_deref()
        && own.map(|own| own.1.as_str()) == key.as_deref()
}

/// The number behind which the next letters are to be looked for. Where these are not all, there may be
/// more of each key: the last of them that is the first of its key.
fn last_of_all(letters: &[DeadLetter], limit: usize) -> Option<i64> {
    if letters.len() < limit {
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
