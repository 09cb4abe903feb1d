//! A log that delivers entries again.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use millstream_core::entry::{Entry, EntryId, Shard};
use millstream_core::error::Error;
use millstream_core::log::{Log, ReadLimit};

use crate::wrapped::{Wrapped, Wrapper};

/// Entries kept of each shard to be delivered again.
const REMEMBERED_MAX: usize = 256;

/// Entries that one read delivers again at most, unless it brings more new ones than that: then as
/// many, or a reader with large reads would hardly see any.
const REPEATS_MAX: usize = 16;

/// A log whose reads bring, now and then, entries that earlier reads have brought.
///
/// The repeats are a run of entries in their order, put before the new ones or among them. The last
/// entry of a read is always a new one, so that a reader that goes on after it makes progress. A
/// read never brings more entries than its limit: new ones that the repeats push out come later.
/// Everything else passes through.
#[derive(Debug)]
pub struct Repeating<L> {
    inner: L,
    percent: u32,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    random: StdRng,
    delivered: HashMap<Shard, VecDeque<Entry>>,
    repeated: u64,
}

impl<L> Repeating<L> {
    /// Wraps a log; of its reads, `percent` bring repeats. The seed replays a run.
    pub fn new(inner: L, percent: u32, seed: u64) -> Wrapped<Self> {
        let state = State {
            random: StdRng::seed_from_u64(seed),
            delivered: HashMap::new(),
            repeated: 0,
        };
        Wrapped(Self {
            inner,
            percent,
            state: Mutex::new(state),
        })
    }

    /// The log inside.
    pub fn inner(&self) -> &L {
        &self.inner
    }

    /// How many entries were delivered again so far.
    pub fn repeated(&self) -> u64 {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .repeated
    }

    fn repeat(&self, shard: &Shard, fresh: Vec<Entry>, count_max: usize) -> Vec<Entry> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.repeat(shard, fresh, count_max, self.percent)
    }
}

impl State {
    fn repeat(
        &mut self,
        shard: &Shard,
        mut fresh: Vec<Entry>,
        count_max: usize,
        percent: u32,
    ) -> Vec<Entry> {
        // Room for one new entry, or the reader would stand still.
        let room = count_max
            .saturating_sub(1)
            .min(REPEATS_MAX.max(fresh.len()));
        if fresh.is_empty() || room == 0 || self.random.random_range(0..100) >= percent {
            self.remember(shard, &fresh);
            return fresh;
        }

        let delivered = self.delivered.entry(shard.clone()).or_default();
        let at = self.random.random_range(0..fresh.len());
        // What stands before the place of insertion has been delivered too by then.
        let known: Vec<&Entry> = delivered.iter().chain(&fresh[..at]).collect();
        if known.is_empty() {
            self.remember(shard, &fresh);
            return fresh;
        }
        let start = self.random.random_range(0..known.len());
        let length = self.random.random_range(1..=room.min(known.len() - start));
        let repeats: Vec<Entry> = known[start..start + length]
            .iter()
            .map(|&e| e.clone())
            .collect();

        fresh.truncate(count_max - length);
        let at = at.min(fresh.len() - 1);
        self.remember(shard, &fresh);
        self.repeated += length as u64;
        fresh.splice(at..at, repeats);
        fresh
    }

    fn remember(&mut self, shard: &Shard, fresh: &[Entry]) {
        let delivered = self.delivered.entry(shard.clone()).or_default();
        delivered.extend(fresh.iter().cloned());
        let surplus = delivered.len().saturating_sub(REMEMBERED_MAX);
        delivered.drain(..surplus);
    }
}

#[async_trait]
impl<L: Log> Wrapper for Repeating<L> {
    fn log(&self) -> &dyn Log {
        &self.inner
    }

    async fn read(
        &self,
        shard: &Shard,
        after: EntryId,
        limit: ReadLimit,
        wait: Duration,
    ) -> Result<Vec<Entry>, Error> {
        let fresh = self.inner.read(shard, after, limit, wait).await?;
        Ok(self.repeat(shard, fresh, limit.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{entries, shard};

    fn run(percent: u32, seed: u64) -> (Vec<Vec<u64>>, u64) {
        let log = Repeating::new((), percent, seed);
        let all = entries(1..=500);
        let mut after = 0;
        let mut reads = Vec::new();
        while after < all.len() {
            let fresh = all[after..all.len().min(after + 10)].to_vec();
            let read = log.repeat(&shard(0), fresh, 10);
            let seqs: Vec<_> = read.iter().map(|entry| entry.id.low).collect();
            after = usize::try_from(*seqs.last().unwrap()).unwrap();
            reads.push(seqs);
        }
        (reads, log.repeated())
    }

    #[test]
    fn nothing_is_missing_and_nothing_comes_before_its_turn() {
        let (reads, repeated) = run(30, 7);
        let mut top = 0;
        let mut again = 0;
        for read in &reads {
            assert!(read.len() <= 10);
            assert_eq!(read.last(), read.iter().max(), "the last one is new");
            for &seq in read {
                assert!(seq <= top + 1, "{seq} came before {}", top + 1);
                again += u64::from(seq <= top);
                top = top.max(seq);
            }
        }
        assert_eq!(top, 500);
        assert_eq!(again, repeated);
        assert!(repeated > 20, "{repeated}");
    }

    #[test]
    fn a_seed_replays_a_run() {
        assert_eq!(run(30, 7), run(30, 7));
        assert_ne!(run(30, 7), run(30, 8));
        assert_eq!(run(0, 7).1, 0);
    }
}
