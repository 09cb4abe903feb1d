//! Who follows a stream, and how far: the rules by which its owner believes them.
//!
//! Pure: the relay's database keeps what is decided here, under its fence.

use std::collections::{BTreeMap, BTreeSet};

use millstream_core::acknowledgment::{Acknowledgment, Message, Receipt, Registration};
use millstream_core::descriptor::{Subscriber, Subscription};
use millstream_core::entry::EntryId;
use millstream_core::lease::Checkpoint;
use millstream_core::limits::SUBSCRIBERS_MAX;
use millstream_core::name::{AppName, DatabaseId};
use millstream_core::outbox::{Progress, Registered};

/// The followers of one stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Followers {
    rows: BTreeMap<AppName, Registered>,
    /// Rows up to here are gone, for each shard.
    pruned: Vec<EntryId>,
    /// Whose progress is not in the database yet.
    changed: BTreeSet<AppName>,
}

/// What a message led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    /// Nothing new.
    Nothing,
    /// A follower is further, or has other exceptions.
    Progress,
    /// A registration that is to be written before anything else.
    Registration(Registered),
    /// It is not believed.
    Rejected(Rejection),
    /// A shard is to be compared with the outbox, and repaired.
    Repair(u16),
    /// A follower has settled what this database never numbered.
    Ahead { shard: u16, settled: EntryId },
}

/// Why a message is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Rejection {
    #[error("it comes from another database than the registered one")]
    Database,
    #[error("it wants to take over, and has settled what this database never numbered")]
    Ahead,
    #[error("its application is not registered")]
    Unknown,
    #[error("there is no such shard")]
    Shard,
    #[error("too many applications are registered")]
    Full,
    #[error("it comes from the owner itself")]
    Owner,
}

impl Followers {
    /// What the database has. A shard that `pruned` leaves out is not pruned.
    pub(super) fn new(rows: Vec<Registered>, mut pruned: Vec<EntryId>, shards: usize) -> Self {
        pruned.resize(shards, EntryId::ZERO);
        let complete = |mut row: Registered| {
            row.shards.resize_with(shards, Progress::default);
            (row.application.clone(), row)
        };
        Self {
            rows: rows.into_iter().map(complete).collect(),
            pruned,
            changed: BTreeSet::new(),
        }
    }

    /// Takes in a message. `tops` are the checkpoints of all shards.
    pub(super) fn hear(
        &mut self,
        owner: &AppName,
        said: &Acknowledgment,
        tops: &[Checkpoint],
    ) -> Heard {
        if said.application == *owner {
            return Heard::Rejected(Rejection::Owner);
        }
        match &said.message {
            Message::Register {
                reason,
                checkpoints,
            } => self.register(said, *reason, checkpoints, tops),
            Message::Receipt(receipt) => match self.known(&said.application, &said.database) {
                Ok(()) => self.receive(&said.application, receipt, tops),
                Err(rejection) => Heard::Rejected(rejection),
            },
            Message::Repair { shard, .. } => match self.known(&said.application, &said.database) {
                Ok(()) if usize::from(*shard) < tops.len() => Heard::Repair(*shard),
                Ok(()) => Heard::Rejected(Rejection::Shard),
                Err(rejection) => Heard::Rejected(rejection),
            },
        }
    }

    /// Whether a message that was left before this relay began tells of a fork. It is not believed
    /// in anything else: what it said is in the database, or will be said again.
    pub(super) fn is_ahead(said: &Acknowledgment, tops: &[Checkpoint]) -> Option<(u16, EntryId)> {
        match &said.message {
            Message::Receipt(receipt) => {
                let top = tops.get(usize::from(receipt.shard))?;
                (receipt.settled.at > top.at).then_some((receipt.shard, receipt.settled.at))
            }
            _ => None,
        }
    }

    /// Whether a message comes from a registered database.
    pub(super) fn believes(&self, said: &Acknowledgment) -> bool {
        self.known(&said.application, &said.database).is_ok()
    }

    /// The registered database of an application.
    pub(super) fn database(&self, application: &AppName) -> Option<&DatabaseId> {
        self.rows.get(application).map(|row| &row.database)
    }

    fn known(&self, application: &AppName, database: &DatabaseId) -> Result<(), Rejection> {
        match self.rows.get(application) {
            Some(row) if row.database == *database => Ok(()),
            Some(_) => Err(Rejection::Database),
            None => Err(Rejection::Unknown),
        }
    }

    fn register(
        &self,
        said: &Acknowledgment,
        reason: Registration,
        checkpoints: &[EntryId],
        tops: &[Checkpoint],
    ) -> Heard {
        let checkpoint = |shard: usize| checkpoints.get(shard).copied().unwrap_or(EntryId::ZERO);
        let known = self.rows.get(&said.application);
        let is_other = known.is_some_and(|row| row.database != said.database);
        if is_other && reason != Registration::TakeOver {
            return Heard::Rejected(Rejection::Database);
        }
        for (shard, top) in tops.iter().enumerate() {
            let settled = checkpoint(shard);
            if settled > top.at && is_other {
                return Heard::Rejected(Rejection::Ahead);
            }
            if settled > top.at {
                let shard = u16::try_from(shard).unwrap_or(u16::MAX);
                return Heard::Ahead { shard, settled };
            }
        }
        match (known, reason) {
            (Some(row), Registration::Rewound) if !is_other => self.rewind(row, checkpoint),
            (Some(_), _) if !is_other => Heard::Nothing,
            (None, _) if self.rows.len() >= SUBSCRIBERS_MAX => Heard::Rejected(Rejection::Full),
            (None | Some(_), _) => {
                let begin = |shard: usize| {
                    let base = self.begin(shard, tops[shard].at);
                    Progress {
                        base,
                        settled: Checkpoint {
                            at: base.max(checkpoint(shard)),
                            event_id: None,
                        },
                        ..Progress::default()
                    }
                };
                Heard::Registration(Registered {
                    application: said.application.clone(),
                    database: said.database.clone(),
                    shards: (0..tops.len()).map(begin).collect(),
                })
            }
        }
    }

    fn rewind(&self, row: &Registered, checkpoint: impl Fn(usize) -> EntryId) -> Heard {
        let mut row = row.clone();
        let mut back = false;
        for (shard, progress) in row.shards.iter_mut().enumerate() {
            let at = checkpoint(shard);
            if at < progress.settled.at {
                back = true;
                progress.settled = Checkpoint { at, event_id: None };
                progress.exceptions.retain(|exception| exception.at <= at);
            }
        }
        if back {
            Heard::Registration(row)
        } else {
            Heard::Nothing
        }
    }

    fn receive(&mut self, application: &AppName, receipt: &Receipt, tops: &[Checkpoint]) -> Heard {
        let Some(top) = tops.get(usize::from(receipt.shard)) else {
            return Heard::Rejected(Rejection::Shard);
        };
        if receipt.settled.at > top.at {
            return Heard::Ahead {
                shard: receipt.shard,
                settled: receipt.settled.at,
            };
        }
        let row = self
            .rows
            .get_mut(application)
            .expect("the caller has found the row");
        let progress = &mut row.shards[usize::from(receipt.shard)];
        // Cumulative: a late one says nothing that a later one has not said.
        if receipt.settled.at < progress.settled.at {
            return Heard::Nothing;
        }
        let told = Progress {
            base: progress.base,
            settled: receipt.settled.clone(),
            exceptions: receipt.exceptions.clone(),
            omitted: receipt.omitted,
        };
        if *progress == told {
            return Heard::Nothing;
        }
        *progress = told;
        self.changed.insert(application.clone());
        Heard::Progress
    }

    /// Follows what was written to the database.
    pub(super) fn registered(&mut self, row: Registered) {
        self.changed.remove(&row.application);
        self.rows.insert(row.application.clone(), row);
    }

    /// Takes over what the database has: a subscriber that a person removed is gone.
    pub(super) fn retain(&mut self, rows: &[Registered]) {
        self.rows
            .retain(|name, _| rows.iter().any(|row| row.application == *name));
        self.changed.retain(|name| self.rows.contains_key(name));
    }

    /// Rows whose progress is to be written.
    pub(super) fn unwritten(&self) -> Vec<Registered> {
        let row = |name: &AppName| self.rows[name].clone();
        self.changed.iter().map(row).collect()
    }

    /// All of them are.
    pub(super) fn written(&mut self) {
        self.changed.clear();
    }

    /// What the stream may lack: entries up to here are settled by all, or gone from the outbox too.
    ///
    /// As long as nobody is registered it lacks nothing that the outbox has of this generation: whoever
    /// registers next begins there.
    pub(super) fn floor(&self, shard: usize, top: EntryId) -> EntryId {
        let settled = self.settled_by_all(shard);
        self.begin(shard, top).max(settled.unwrap_or(EntryId::ZERO))
    }

    /// Everything that is still in the outbox, of the current generation, comes after this.
    fn begin(&self, shard: usize, top: EntryId) -> EntryId {
        let begun = if top.high > GENERATION_FIRST {
            EntryId::new(top.high, 0)
        } else {
            EntryId::ZERO
        };
        self.pruned[shard].max(begun)
    }

    /// What everybody has settled as far as receipts named its last event, and so proved to speak of the
    /// same history as this database.
    pub(super) fn proven_by_all(&self, shard: usize) -> EntryId {
        let proven = |row: &Registered| {
            let progress = &row.shards[shard];
            match progress.settled.event_id {
                Some(_) => progress.settled.at,
                None => progress.base.min(progress.settled.at),
            }
        };
        let proven = self.rows.values().map(proven).min();
        self.pruned[shard].max(proven.unwrap_or(EntryId::ZERO))
    }

    /// What everybody has settled; none when there is nobody.
    pub(super) fn settled_by_all(&self, shard: usize) -> Option<EntryId> {
        self.rows
            .values()
            .map(|row| row.shards[shard].settled.at)
            .min()
    }

    /// Where the outbox is pruned to.
    pub(super) fn pruned(&self, shard: usize) -> EntryId {
        self.pruned[shard]
    }

    /// Follows what was pruned in the database.
    pub(super) fn set_pruned(&mut self, shard: usize, at: EntryId) {
        self.pruned[shard] = at;
    }

    /// What is announced about them.
    pub(super) fn announced(&self) -> Vec<Subscriber> {
        let announced = |row: &Registered| Subscriber {
            application: row.application.clone(),
            database: row.database.clone(),
            shards: row
                .shards
                .iter()
                .map(|progress| Subscription {
                    base: progress.base,
                    settled: progress.settled.at,
                })
                .collect(),
        };
        self.rows.values().map(announced).collect()
    }
}

/// The generation of a stream that was never begun anew.
pub(super) const GENERATION_FIRST: u64 = 1;

#[cfg(test)]
mod tests;
