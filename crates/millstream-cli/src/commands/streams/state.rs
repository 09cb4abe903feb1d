use std::fmt;

use serde::{Serialize, Serializer};

use millstream::core::entry::EntryId;
use millstream::core::log::Description;

/// How a stream looks from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It is what its publisher says.
    Ok,
    /// Its publisher has numbered events that are not in it yet: nobody sends them, or they cannot be
    /// sent. Between two looks of a busy relay that is nothing.
    Behind(u64),
    /// An entry that some follower needs is not there.
    Missing,
    /// An entry is not its publisher's.
    Foreign,
    /// It, or a follower, knows more than its publisher's database, which was restored.
    Forked,
    /// Its publisher has not said yet what it holds.
    Unannounced,
}

/// What was found out about a shard.
#[derive(Debug, Clone, Copy)]
pub(super) struct Evidence {
    pub(super) found: Description,
    /// Whether the last entry was written by the owner's relay; true where there is none.
    pub(super) last_is_own: bool,
    /// Whether the owner's database has no other event under the number of the last entry.
    pub(super) last_is_known: bool,
    /// What the owner's database has numbered, read after everything else. None where it cannot be
    /// asked.
    pub(super) top: Option<EntryId>,
    /// What was announced.
    pub(super) announced: Option<Announced>,
    /// The highest place that a follower claims to have settled.
    pub(super) settled_max: EntryId,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Announced {
    pub(super) floor: EntryId,
    pub(super) top: EntryId,
}

impl Evidence {
    pub(super) fn judge(self) -> State {
        let last = self.found.last;
        if !self.last_is_own {
            return State::Foreign;
        }
        // An announcement is old: the stream may well have gone past it. A database is not.
        if let Some(top) = self.top {
            if self.settled_max > top {
                return State::Forked;
            }
            if last > top {
                return if self.found.length > 0 {
                    State::Forked
                } else {
                    State::Foreign
                };
            }
        }
        if !self.last_is_known {
            return State::Forked;
        }
        let Some(announced) = self.announced else {
            return State::Unannounced;
        };
        if self.lacks_after(announced.floor) {
            return State::Missing;
        }
        let top = self.top.unwrap_or(announced.top);
        if last < top {
            let from = if last.high == top.high { last.low } else { 0 };
            return State::Behind(top.low - from);
        }
        State::Ok
    }

    /// Whether an entry above the floor was there and is gone. What was never added is not.
    fn lacks_after(self, floor: EntryId) -> bool {
        let last = self.found.last;
        if last < floor {
            // Something was settled that this stream has never held.
            return floor.low > 0;
        }
        if last == floor || last.high != floor.high.max(1) {
            return false;
        }
        let needed = last.low - floor.low;
        match self.found.first {
            Some(first) => first.low > floor.low + 1 || self.found.length < needed,
            None => true,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Behind(by) => return write!(f, "behind {by}"),
            Self::Missing => "missing",
            Self::Foreign => "foreign",
            Self::Forked => "forked",
            Self::Unannounced => "unannounced",
        })
    }
}

/// The word, without its number.
impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Behind(_) => serializer.serialize_str("behind"),
            other => serializer.collect_str(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seq: u64) -> EntryId {
        EntryId::new(1, seq)
    }

    /// A shard with entries from `first` to `last`, whose floor is 2 and whose top is 9.
    fn shard(first: u64, last: u64) -> Evidence {
        Evidence {
            found: Description {
                length: last - first + 1,
                added: last,
                first: Some(at(first)),
                last: at(last),
            },
            last_is_own: true,
            last_is_known: true,
            top: Some(at(9)),
            announced: Some(Announced {
                floor: at(2),
                top: at(7),
            }),
            settled_max: at(5),
        }
    }

    #[test]
    fn a_stream_that_is_as_it_should_be_is_ok() {
        assert_eq!(shard(1, 9).judge(), State::Ok);
        assert_eq!(shard(3, 9).judge(), State::Ok);
        // Emptied up to its top, which everybody has settled.
        let mut empty = shard(1, 9);
        empty.found.length = 0;
        empty.found.first = None;
        empty.announced = Some(Announced {
            floor: at(9),
            top: at(9),
        });
        assert_eq!(empty.judge(), State::Ok);
    }

    #[test]
    fn what_is_not_there_is_behind_or_missing() {
        assert_eq!(shard(3, 7).judge(), State::Behind(2));
        assert_eq!(shard(4, 9).judge(), State::Missing);
        let mut hole = shard(3, 9);
        hole.found.length -= 1;
        assert_eq!(hole.judge(), State::Missing);
        let mut lost = shard(3, 9);
        lost.found = Description::default();
        assert_eq!(lost.judge(), State::Missing);
        lost.announced = Some(Announced {
            floor: EntryId::ZERO,
            top: at(9),
        });
        assert_eq!(lost.judge(), State::Behind(9));
    }

    #[test]
    fn what_the_database_does_not_know_is_foreign_or_forked() {
        assert_eq!(shard(3, 10).judge(), State::Forked);
        let mut settled = shard(3, 9);
        settled.settled_max = at(10);
        assert_eq!(settled.judge(), State::Forked);
        let mut other = shard(3, 7);
        other.last_is_known = false;
        assert_eq!(other.judge(), State::Forked);
        let mut foreign = shard(3, 10);
        foreign.last_is_own = false;
        assert_eq!(foreign.judge(), State::Foreign);
        let mut raised = shard(3, 10);
        raised.found.length = 0;
        assert_eq!(raised.judge(), State::Foreign);
    }

    #[test]
    fn an_announcement_alone_accuses_nobody() {
        let mut busy = shard(3, 9);
        busy.top = None;
        busy.settled_max = at(9);
        assert_eq!(busy.judge(), State::Ok);
        let mut silent = shard(3, 9);
        silent.announced = None;
        assert_eq!(silent.judge(), State::Unannounced);
        let mut begun = shard(3, 9);
        begun.top = Some(EntryId::new(2, 4));
        begun.announced = Some(Announced {
            floor: EntryId::new(2, 0),
            top: EntryId::new(2, 4),
        });
        assert_eq!(begun.judge(), State::Behind(4));
    }
}
