//! How many entries to ask for at once: servers count entries, limits are in bytes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use millstream_core::entry::Entry;
use millstream_core::log::ReadLimit;

use super::key::Key;

/// Entries that one reply brings at most. What is large comes rarely; until it was seen, this many
/// large ones may come at once.
const COUNT_MAX: usize = 256;

/// How large entries are taken to be before one was seen.
const ENTRY_BYTES: usize = 16 * 1024;

/// Keys that are remembered. Past that all are learned anew.
const KEYS_MAX: usize = 4_096;

/// What earlier reads of each key have taught.
#[derive(Debug, Default)]
pub(super) struct Paces(Mutex<HashMap<Key, Pace>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pace {
    /// The largest entry of the last reply.
    entry_bytes: usize,
    /// Below the server's limit for what it holds ready for one client, as far as we know it.
    count_max: usize,
}

impl Paces {
    pub(super) fn of(&self, key: &Key) -> Pace {
        let paces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        paces.get(key).copied().unwrap_or_default()
    }

    pub(super) fn remember(&self, key: &Key, pace: Pace) {
        let mut paces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if paces.len() >= KEYS_MAX && !paces.contains_key(key) {
            paces.clear();
        }
        paces.insert(key.clone(), pace);
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            entry_bytes: ENTRY_BYTES,
            count_max: COUNT_MAX,
        }
    }
}

impl Pace {
    /// How many entries to ask for.
    pub(super) fn count(self, rest: ReadLimit) -> usize {
        let fitting = (rest.bytes / self.entry_bytes.max(1)).saturating_add(1);
        fitting.min(self.count_max).min(rest.count)
    }

    /// Learns from a reply.
    pub(super) fn saw(&mut self, entries: &[Entry]) {
        if let Some(largest) = entries.iter().map(|entry| entry.fields.byte_len()).max() {
            self.entry_bytes = largest;
            self.count_max = (self.count_max * 2).min(COUNT_MAX);
        }
    }

    /// Learns from a connection that broke instead of a reply of up to `count` entries: servers close
    /// it when the reply is larger than they hold ready for one client.
    pub(super) fn broke(&mut self, count: usize) {
        self.count_max = (count / 2).max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use bytes::Bytes;
    use millstream_core::entry::EntryId;

    fn entry(bytes: usize) -> Entry {
        let field = (Bytes::new(), Bytes::from(vec![b'x'; bytes]));
        Entry {
            id: EntryId::new(1, 1),
            fields: [field].into_iter().collect(),
        }
    }

    #[test]
    fn what_was_seen_decides() {
        let rest = |count, bytes| ReadLimit { count, bytes };
        let mut pace = Pace::default();
        assert_eq!(pace.count(rest(1_000, 32 * 1024)), 3);
        assert_eq!(pace.count(rest(2, 32 * 1024)), 2);
        pace.saw(&[entry(10), entry(100)]);
        assert_eq!(pace.count(rest(1_000, 1_000)), 11);
        assert_eq!(pace.count(rest(1_000, 0)), 1);
        assert_eq!(pace.count(rest(1_000, usize::MAX)), COUNT_MAX);
        pace.saw(&[entry(0)]);
        assert_eq!(pace.count(rest(1_000, usize::MAX)), COUNT_MAX);
    }

    #[test]
    fn a_broken_connection_halves_and_replies_double() {
        let all = ReadLimit {
            count: usize::MAX,
            bytes: usize::MAX,
        };
        let mut pace = Pace::default();
        for expected in [128, 64, 32, 16, 8, 4, 2, 1, 1] {
            pace.broke(pace.count(all));
            assert_eq!(pace.count(all), expected);
        }
        for expected in [2, 4, 8, 16, 32, 64, 128, COUNT_MAX, COUNT_MAX] {
            pace.saw(&[entry(10)]);
            assert_eq!(pace.count(all), expected);
        }
    }
}
