//! Compares a shard's stream with what its owner's outbox says that it is.
//!
//! Pure: the questions are asked by [`Sender`](super::shard::Sender), the answers judged here.

use millstream_core::entry::{Entry, EntryId, Shard};
use millstream_core::lease::Checkpoint;
use millstream_core::log::Description;
use millstream_core::name::EventId;
use millstream_core::wire::{self, field};

/// What was found, and what should be.
#[derive(Debug)]
pub(super) struct Evidence<'a> {
    pub(super) shard: &'a Shard,
    /// The last number of this database.
    pub(super) top: &'a Checkpoint,
    /// Entries up to here may be gone.
    pub(super) floor: EntryId,
    pub(super) found: Description,
    /// The entry with the last id of the stream, if it is still there.
    pub(super) last: Option<&'a Entry>,
    /// The event that has the last id's number in the outbox, if that still has it.
    pub(super) expected: Option<&'a EventId>,
    /// An entry above the top, if there is one.
    pub(super) beyond: Option<&'a Entry>,
}

/// What is to be done about a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is what it should be, up to here; what follows is to be appended.
    Prefix(EntryId),
    /// It is to be made anew from the floor.
    Repair(Damage),
    /// It stays as it is until a person has decided.
    Forked(Fork),
}

/// What happened to a stream that a repair mends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Damage {
    #[error(
        "it lost entries: it holds {length} from {first} to {last}, and nobody may miss {needed}"
    )]
    Lost {
        length: u64,
        first: EntryId,
        last: EntryId,
        needed: EntryId,
    },
    #[error("{found} is not an entry of the owner: somebody else writes to this stream")]
    Foreign { found: EntryId },
    #[error("its last id was raised to {found}, without an entry")]
    Raised { found: EntryId },
    #[error("it holds generation {found}, which is over")]
    Over { found: u64 },
}

/// The stream knows what this database does not: the database was restored, or failed over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fork {
    #[error("the stream holds event {found}, above the last number {top} of this database")]
    Entry { found: EntryId, top: EntryId },
    #[error("the event at {at} is another one in the stream than in this database")]
    Event { at: EntryId },
    #[error("{who} has settled {settled}, above the last number {top} of this database")]
    Settled {
        who: String,
        settled: EntryId,
        top: EntryId,
    },
    #[error("{who} has settled another event at {at} than this database has there")]
    Receipt { who: String, at: EntryId },
}

impl Evidence<'_> {
    pub(super) fn judge(&self) -> Verdict {
        let (found, top) = (self.found.last, self.top.at);
        if found > top {
            return match self.beyond {
                Some(entry) if wire::is_of(self.shard, entry) => Verdict::Forked(Fork::Entry {
                    found: entry.id,
                    top,
                }),
                Some(entry) => Verdict::Repair(Damage::Foreign { found: entry.id }),
                None => Verdict::Repair(Damage::Raised { found }),
            };
        }
        if found.high < top.high && found > EntryId::ZERO {
            return Verdict::Repair(Damage::Over { found: found.high });
        }
        if let Some(entry) = self.last
            && self.expected.is_some_and(|id| !carries(entry, id))
        {
            return if wire::is_of(self.shard, entry) {
                Verdict::Forked(Fork::Event { at: found })
            } else {
                Verdict::Repair(Damage::Foreign { found })
            };
        }
        if self.is_complete() {
            Verdict::Prefix(found)
        } else {
            Verdict::Repair(Damage::Lost {
                length: self.found.length,
                first: self.found.first.unwrap_or_default(),
                last: found,
                needed: next(self.floor),
            })
        }
    }

    /// Whether everything between the floor and the last id is there.
    fn is_complete(&self) -> bool {
        let last = self.found.last;
        // Nothing was ever added, or all of it is gone: a prefix if nobody needs what came before.
        if last < self.floor {
            return last == EntryId::ZERO && self.floor.low == 0;
        }
        match self.found.first {
            None => last == self.floor || last.low == 0,
            // Seqs are dense, so the length tells of holes.
            Some(first) => {
                first.high == last.high
                    && first <= next(self.floor)
                    && self.found.length == last.low - first.low + 1
                    && self.last.is_some()
            }
        }
    }
}

/// The number after this one.
pub(super) fn next(id: EntryId) -> EntryId {
    EntryId::new(id.high.max(1), id.low.saturating_add(1))
}

fn carries(entry: &Entry, id: &EventId) -> bool {
    entry.fields.get(field::EVENT_ID).map(AsRef::as_ref) == Some(id.as_str().as_bytes())
}

#[cfg(test)]
mod tests;
