//! Outbox, subscribers and marks as plainly as possible: one list, gone through again and again.

use std::collections::{BTreeMap, HashMap};

use millstream_core::clock::Timestamp;
use millstream_core::entry::{EntryId, Shard};
use millstream_core::outbox::Registered;

use super::SHARDS;

/// A row of the outbox.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) target: &'static str,
    pub(super) shard: u16,
    pub(super) at: Option<EntryId>,
    numbered_at: Timestamp,
}

/// What a database of `hr` should hold.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    /// In the order in which they were written.
    pub(super) rows: Vec<Row>,
    written: usize,
    /// Which event had which number last: also of those that are pruned.
    numbers: HashMap<(u16, EntryId), String>,
    pub(super) tops: [EntryId; SHARDS as usize],
    pub(super) pruned: [EntryId; SHARDS as usize],
    pub(super) subscribers: BTreeMap<&'static str, Registered>,
    /// As of the registration.
    bases: HashMap<&'static str, Vec<EntryId>>,
}

impl History {
    /// Writes an event of a key, and says its id.
    pub(super) fn write(&mut self, key: &str, target: &'static str) -> String {
        self.written += 1;
        let id = format!("e-{}", self.written);
        self.rows.push(Row {
            id: id.clone(),
            target,
            shard: Shard::number_of(b"acme", key.as_bytes(), SHARDS),
            at: None,
            numbered_at: Timestamp::from_millis(0),
        });
        id
    }

    pub(super) fn number(&mut self, limit: usize, now: Timestamp) {
        let waiting = self.rows.iter_mut().filter(|row| row.at.is_none());
        for row in waiting.take(limit) {
            let top = &mut self.tops[usize::from(row.shard)];
            *top = EntryId::new(top.high.max(1), top.low + 1);
            row.at = Some(*top);
            row.numbered_at = now;
            self.numbers.insert((row.shard, *top), row.id.clone());
        }
    }

    pub(super) fn prune(&mut self, shard: u16, through: EntryId, before: Timestamp, limit: usize) {
        for _ in 0..limit {
            let first = self.numbered(shard).first().map(|row| (*row).clone());
            let Some(first) = first else { return };
            let at = first.at.expect("it is numbered");
            if at > through || first.numbered_at >= before {
                return;
            }
            self.rows.retain(|row| row.id != first.id);
            self.pruned[usize::from(shard)] = at;
        }
    }

    pub(super) fn subscribe(&mut self, name: &'static str, subscriber: Registered) {
        let bases = subscriber.shards.iter().map(|shard| shard.base).collect();
        self.bases.insert(name, bases);
        self.subscribers.insert(name, subscriber);
    }

    pub(super) fn record(&mut self, name: &'static str, changed: &Registered) {
        let Some(own) = self.subscribers.get_mut(name) else {
            return;
        };
        if own.database != changed.database {
            return;
        }
        for (own, changed) in own.shards.iter_mut().zip(&changed.shards) {
            let base = own.base;
            own.clone_from(changed);
            own.base = base;
        }
    }

    pub(super) fn begin(&mut self, settled: &[EntryId], above: u64) {
        let generations = self.tops.iter().map(|top| top.high);
        let highest = generations.chain([above, 1]).max();
        let begin = EntryId::new(highest.expect("there is one") + 1, 0);
        self.tops = [begin; SHARDS as usize];
        for row in &mut self.rows {
            if let Some(at) = row.at.take_if(|at| *at > settled[usize::from(row.shard)]) {
                self.numbers.remove(&(row.shard, at));
            }
        }
        for progress in self
            .subscribers
            .values_mut()
            .flat_map(|subscriber| &mut subscriber.shards)
        {
            progress.base = begin;
            progress.settled.at = begin;
            progress.settled.event_id = None;
        }
    }

    /// Numbered rows of a shard, by number.
    pub(super) fn numbered(&self, shard: u16) -> Vec<&Row> {
        let own = |row: &&Row| row.shard == shard && row.at.is_some();
        let mut rows: Vec<_> = self.rows.iter().filter(own).collect();
        rows.sort_by_key(|row| row.at);
        rows
    }

    /// The event before a number.
    pub(super) fn prev(&self, shard: u16, at: EntryId) -> Option<&String> {
        let before = EntryId::new(at.high, at.low.checked_sub(1)?);
        self.numbers.get(&(shard, before))
    }

    /// What `event_tracking` should show: `event application status outcome`.
    pub(super) fn tracked(&self) -> Vec<String> {
        let mut tracked: Vec<_> = self
            .rows
            .iter()
            .flat_map(|row| {
                let mut shown: Vec<_> = self
                    .subscribers
                    .iter()
                    .filter(|(name, _)| self.counts(row, name))
                    .map(|(name, subscriber)| {
                        format!("{}|{name}|{}", row.id, ending(row, subscriber))
                    })
                    .collect();
                if shown.is_empty() {
                    shown.push(format!("{}|{}|pending|NULL", row.id, row.target));
                }
                shown
            })
            .collect();
        tracked.sort();
        tracked
    }

    fn counts(&self, row: &Row, name: &str) -> bool {
        let meant = row.target == "*" || row.target.split(',').any(|target| target == name);
        let follows = self.bases.get(name).is_some_and(|bases| {
            let base = bases[usize::from(row.shard)];
            row.at.is_none_or(|at| at > base)
        });
        meant && name != "hr" && follows
    }

    /// Exceptions that a subscriber could tell of: of a shard, up to a number, for it.
    pub(super) fn could_fail(&self, name: &str, shard: u16, through: EntryId) -> Vec<EntryId> {
        self.numbered(shard)
            .into_iter()
            .filter(|row| self.counts(row, name))
            .filter_map(|row| row.at)
            .filter(|at| *at <= through)
            .collect()
    }
}

/// How a row ended for a subscriber that it counts for.
fn ending(row: &Row, subscriber: &Registered) -> String {
    let progress = &subscriber.shards[usize::from(row.shard)];
    let Some(at) = row.at.filter(|at| *at <= progress.settled.at) else {
        return "pending|NULL".into();
    };
    let exceptions = &progress.exceptions;
    match exceptions.iter().find(|exception| exception.at == at) {
        Some(exception) => {
            let outcome = exception.outcome;
            format!("{}|{}", outcome.status(), outcome.as_str())
        }
        None if progress.omitted > 0 && exceptions.iter().all(|exception| exception.at < at) => {
            "pending|NULL".into()
        }
        None => "processed|NULL".into(),
    }
}
