//! Which pending entries nobody moves, by a clock of our own.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use millstream_core::entry::EntryId;
use millstream_core::name::InstanceId;
use millstream_core::queue::PendingEntry;

/// Entries that are watched at a time, the earliest.
pub(super) const WATCHED_MAX: usize = 100;

/// Entries that others hold, and since when we see them do so.
///
/// The transport tells how long an entry has been idle by its clock on the wall. When that was set
/// back, whatever a dead instance took before would be claimed by nobody until it has caught up.
#[derive(Debug, Default)]
pub(super) struct Held(BTreeMap<EntryId, Holding>);

#[derive(Debug)]
struct Holding {
    consumer: InstanceId,
    delivery_count: u64,
    since: Instant,
}

impl Held {
    /// Takes in what is pending now, and returns the entries that the same one has held for `idle_min`
    /// without being handed them again.
    pub(super) fn look(
        &mut self,
        own: &InstanceId,
        pending: Vec<PendingEntry>,
        idle_min: Duration,
        now: Instant,
    ) -> Vec<EntryId> {
        let mut before = std::mem::take(&mut self.0);
        for entry in pending {
            if entry.consumer == *own {
                continue;
            }
            let since = match before.remove(&entry.id) {
                Some(known)
                    if known.consumer == entry.consumer
                        && known.delivery_count == entry.delivery_count =>
                {
                    known.since
                }
                _ => now,
            };
            let holding = Holding {
                consumer: entry.consumer,
                delivery_count: entry.delivery_count,
                since,
            };
            self.0.insert(entry.id, holding);
        }
        let is_idle = |holding: &Holding| now.duration_since(holding.since) >= idle_min;
        let idle = self.0.iter().filter(|(_, holding)| is_idle(holding));
        idle.map(|(id, _)| *id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(low: u64, consumer: &str, delivery_count: u64) -> PendingEntry {
        PendingEntry {
            id: EntryId::new(1, low),
            consumer: InstanceId::new(consumer).unwrap(),
            // What the transport's clock says does not matter.
            idle: Duration::ZERO,
            delivery_count,
        }
    }

    #[test]
    fn what_nobody_moves_is_idle() {
        let (own, begin) = (InstanceId::new("me").unwrap(), Instant::now());
        let mut held = Held::default();
        let mut look = |second: u64, pending: Vec<PendingEntry>| {
            let now = begin + Duration::from_secs(second);
            let idle = held.look(&own, pending, Duration::from_secs(3), now);
            idle.iter().map(|id| id.low).collect::<Vec<_>>()
        };
        let pending = || vec![entry(1, "a", 1), entry(2, "b", 1), entry(3, "me", 1)];
        assert_eq!(look(0, pending()), [0; 0]);
        assert_eq!(look(2, pending()), [0; 0]);
        // One was handed out again, and one went to another.
        let moved = vec![entry(1, "a", 2), entry(2, "c", 1), entry(3, "me", 1)];
        assert_eq!(look(3, moved.clone()), [0; 0]);
        assert_eq!(look(5, moved.clone()), [0; 0]);
        assert_eq!(look(6, moved.clone()), [1, 2]);
        // Acked, and pending again: that is another time.
        assert_eq!(look(7, vec![]), [0; 0]);
        assert_eq!(look(8, moved), [0; 0]);
    }
}
