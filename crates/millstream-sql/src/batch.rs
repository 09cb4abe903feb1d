//! What settling a batch is about, on whichever database: what was here before, and how it ends.

use std::collections::HashMap;

use millstream_core::clock::Timestamp;
use millstream_core::contents::ContentHash;
use millstream_core::delivery::{Content, Delivery, Outcome, Reason};
use millstream_core::entry::Shard;
use millstream_core::error::{Error, ErrorKind};
use millstream_core::lease::Feed;
use millstream_core::limits::CONFLICT_TRIES_MIN;
use millstream_core::name::{EventId, PartitionKey, TenantId};
use millstream_core::store::Applied;

use crate::repeats::is_other;

/// How repeats are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dedupe<'a> {
    /// Not at all: what is above the checkpoint of an owned stream is new.
    Checkpoint,
    /// By event id, since a new generation brings again what an older one may have brought. A parked
    /// event counts as well: it is here, and waits.
    Generation(&'a Shard),
    /// By event id, and by entry id and event. A parked event does not count: it may be published again because it
    /// is dead.
    Shared,
}

/// Source, tenant and id: what an event is known by. On an owned stream all have one source.
pub(crate) type Identity<'a> = (&'a str, Option<&'a TenantId>, &'a EventId);

impl<'a> Dedupe<'a> {
    /// Of a batch. An owned stream pays for it from its second generation on.
    pub(crate) fn of(feed: &'a Feed, deliveries: &[Delivery]) -> Self {
        match feed {
            Feed::Shared(_) => Self::Shared,
            Feed::Owned(shard) if deliveries.iter().any(is_of_later_generation) => {
                Self::Generation(shard)
            }
            Feed::Owned(_) => Self::Checkpoint,
        }
    }

    /// What a delivery is known by within its batch, if that matters.
    pub(crate) fn identity(self, delivery: &Delivery) -> Option<Identity<'_>> {
        match (self, &delivery.content) {
            (Self::Checkpoint, _) | (Self::Shared, Content::Undecodable(_)) => None,
            (Self::Generation(_), _) => Some(("", tenant(delivery), delivery.event_id()?)),
            (Self::Shared, Content::Event { event, .. }) => {
                Some((event.source.as_str(), Some(&event.tenant), &event.id))
            }
        }
    }

    /// Whether a parked event counts as having been here.
    pub(crate) fn counts_parked(self) -> bool {
        matches!(self, Self::Generation(_))
    }

    /// What each delivery says, where an id can be used twice: at the source it cannot.
    pub(crate) fn contents(self, deliveries: &[Delivery]) -> Vec<Option<ContentHash>> {
        let of = |delivery: &Delivery| match (self, &delivery.content) {
            (
                Self::Shared,
                Content::Event {
                    event,
                    partition_key,
                    ..
                },
            ) => Some(ContentHash::of(event, partition_key)),
            _ => None,
        };
        deliveries.iter().map(of).collect()
    }

    /// How a delivery has ended before anything is done about it, if it has.
    ///
    /// `seen` is what of its batch came before it.
    pub(crate) fn ended<'b>(self, item: &Item<'b>, seen: [&Seen<'b>; 2]) -> Option<Ending>
    where
        'a: 'b,
    {
        match item.found {
            Found::Repeated => return Some(Ending::Repeated),
            Found::Taken(_, by) => return Some(Ending::taken(by, item.contents)),
            Found::New(_) => {}
        }
        let identity = self.identity(item.delivery)?;
        let by = seen.iter().find_map(|seen| seen.get(&identity)).copied()?;
        Some(match is_other(by, item.contents) {
            true => Ending::taken(by, item.contents),
            false => Ending::Repeated,
        })
    }
}

/// Events of a batch that are no news if they come again, with what they say.
pub(crate) type Seen<'a> = HashMap<Identity<'a>, Option<ContentHash>>;

/// What a look into the inbox says about a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// It need not be applied.
    Repeated,
    /// It was not here.
    New(Twin),
    /// Its id is that of another event, which says this and was processed.
    Taken(Twin, Option<ContentHash>),
}

impl Found {
    pub(crate) fn twin(self) -> Twin {
        match self {
            Self::New(twin) | Self::Taken(twin, _) => twin,
            Self::Repeated => Twin::FIRST,
        }
    }
}

/// The how-manieth event under its entry id it is. A server that failed over may give an id of the
/// shared stream again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Twin(pub(crate) i64);

impl Twin {
    pub(crate) const FIRST: Self = Self(0);

    pub(crate) fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

pub(crate) fn is_of_later_generation(delivery: &Delivery) -> bool {
    delivery.entry.high > 1
}

/// A delivery, what it says, and what was here of it before.
#[derive(Clone, Copy)]
pub(crate) struct Item<'a> {
    pub(crate) delivery: &'a Delivery,
    pub(crate) contents: Option<ContentHash>,
    pub(crate) found: Found,
}

/// The deliveries of a batch with what is known of each.
pub(crate) fn items<'a>(
    deliveries: &'a [Delivery],
    contents: &[Option<ContentHash>],
    found: &[Found],
) -> Vec<Item<'a>> {
    let known = contents.iter().zip(found);
    let item = |(delivery, (contents, found)): (&'a Delivery, (&_, &_))| Item {
        delivery,
        contents: *contents,
        found: *found,
    };
    deliveries.iter().zip(known).map(item).collect()
}

/// Source, tenant and key: what stays in order behind a parked event.
pub(crate) type Key = (Box<str>, TenantId, PartitionKey);

/// Tenant and key of a delivery.
pub(crate) type KeyOf<'a> = (&'a TenantId, &'a PartitionKey);

/// How a delivery ends.
#[derive(Debug, Clone)]
pub(crate) enum Ending {
    /// It is settled.
    Settled(Outcome),
    /// It is parked, or waits behind one that is.
    Parked(Outcome, Reason),
    /// Its event was settled or parked before.
    Repeated,
    /// Another event has its id. It is kept for a person to look at, and nothing waits behind it: which of
    /// the key's events it would be, nobody can say.
    Refused(Reason),
}

impl Ending {
    /// Of an event that failed: what is in its way may go, or it can never be applied.
    pub(crate) fn failed(error: &Error) -> Self {
        let outcome = match error.kind() {
            ErrorKind::Conflict => Outcome::Retrying,
            _ => Outcome::Dead,
        };
        Self::Parked(outcome, Reason::new(error.to_string()))
    }

    /// How it shows; none of a repeat, which has its place already.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Settled(outcome) | Self::Parked(outcome, _) => Some(*outcome),
            Self::Refused(_) => Some(Outcome::Dead),
            Self::Repeated => None,
        }
    }

    /// The reason why a delivery is kept, if it is, and what waits behind it.
    pub(crate) fn kept<'a>(
        &'a self,
        delivery: &'a Delivery,
    ) -> Option<(&'a Reason, Option<KeyOf<'a>>)> {
        match self {
            Self::Parked(_, reason) => Some((reason, delivery.key())),
            Self::Refused(reason) => Some((reason, None)),
            Self::Settled(_) | Self::Repeated => None,
        }
    }

    fn taken(by: Option<ContentHash>, own: Option<ContentHash>) -> Self {
        let shown = |contents: Option<ContentHash>| {
            contents.map_or_else(|| "unknown".to_owned(), |hash| hash.to_string())
        };
        Self::Refused(Reason::new(format!(
            "another event with this id was processed: the hash of its contents is {}, of these {}",
            shown(by),
            shown(own),
        )))
    }
}

/// How deliveries end that are set aside for this reason: they stand in the way of others, and are not
/// tried now. What has ended before stays as it is. Blocked, since none of its tries counts: once it can be
/// tried, it has all the time that others have.
pub(crate) fn set_aside(dedupe: Dedupe<'_>, items: &[Item<'_>], reason: &Reason) -> Vec<Ending> {
    let none = Seen::new();
    let parked = || Ending::Parked(Outcome::Blocked, reason.clone());
    let ending = |item| dedupe.ended(item, [&none, &none]).unwrap_or_else(parked);
    items.iter().map(ending).collect()
}

/// Source, tenant and key as they are written down.
pub(crate) type Words = (String, String, String);

/// A parked event that is tried again, as it stands before.
#[derive(Debug, Clone)]
pub(crate) struct Letter {
    pub(crate) number: i64,
    pub(crate) key: Words,
    pub(crate) outcome: Outcome,
    pub(crate) attempts: u32,
    pub(crate) parked_at: Timestamp,
}

impl Letter {
    /// What stood behind another one waits for itself only since it was tried.
    fn is_over(&self, dead_before: Timestamp) -> bool {
        self.outcome == Outcome::Retrying
            && self.attempts.saturating_add(1) >= CONFLICT_TRIES_MIN
            && self.parked_at < dead_before
    }
}

/// Leaves out each letter that is not in its turn: its key has earlier ones than those before it here.
///
/// `all` has the numbers of everything that is parked of each key, up to the last that is tried.
pub(crate) fn in_turn(letters: &mut [Option<Letter>], all: &HashMap<Words, Vec<i64>>) {
    let mut turns: HashMap<Words, usize> = HashMap::new();
    for slot in letters {
        let Some(letter) = slot else { continue };
        let turn = turns.entry(letter.key.clone()).or_default();
        let next = all.get(&letter.key).and_then(|numbers| numbers.get(*turn));
        match next == Some(&letter.number) {
            true => *turn += 1,
            false => {
                *turn = usize::MAX;
                *slot = None;
            }
        }
    }
}

/// What is to be written of parked events that were tried again.
#[derive(Debug, Default)]
pub(crate) struct Tried<'a> {
    /// Settled: they are parked no more.
    pub(crate) settled: Vec<(i64, Outcome)>,
    /// Their event was processed under another entry: they go, without a trace of their own.
    pub(crate) repeated: Vec<i64>,
    /// Failed once more.
    pub(crate) failed: Vec<(i64, Outcome, &'a Reason)>,
    /// Those of them that nothing waits behind any more.
    pub(crate) refused: Vec<i64>,
}

impl<'a> Tried<'a> {
    /// Of letters and how they ended; those that were left out stay as they are.
    pub(crate) fn of(
        letters: &[Option<Letter>],
        endings: &'a [Ending],
        dead_before: Timestamp,
    ) -> (Self, Applied) {
        let mut tried = Self::default();
        let mut applied = Applied::default();
        for (letter, ending) in letters.iter().zip(endings) {
            let Some(letter) = letter else { continue };
            let number = letter.number;
            let outcome = match ending {
                Ending::Repeated => {
                    tried.repeated.push(number);
                    applied.repeated += 1;
                    applied.were.add(letter.outcome);
                    continue;
                }
                Ending::Settled(outcome) => {
                    tried.settled.push((number, *outcome));
                    *outcome
                }
                Ending::Parked(Outcome::Blocked, _) => continue,
                Ending::Refused(reason) => {
                    tried.failed.push((number, Outcome::Dead, reason));
                    tried.refused.push(number);
                    Outcome::Dead
                }
                Ending::Parked(outcome, reason) => {
                    let outcome = match outcome {
                        Outcome::Retrying if letter.is_over(dead_before) => Outcome::Dead,
                        outcome => *outcome,
                    };
                    tried.failed.push((number, outcome, reason));
                    outcome
                }
            };
            if outcome != letter.outcome {
                applied.counts.add(outcome);
                applied.were.add(letter.outcome);
            }
        }
        (tried, applied)
    }

    /// The numbers of those that are parked no more.
    pub(crate) fn gone(&self) -> Vec<i64> {
        let settled = self.settled.iter().map(|(number, _)| *number);
        settled.chain(self.repeated.iter().copied()).collect()
    }
}

/// The tenant of a delivery, if it could be read.
pub(crate) fn tenant(delivery: &Delivery) -> Option<&TenantId> {
    match &delivery.content {
        Content::Event { event, .. } => Some(&event.tenant),
        Content::Undecodable(part) => part.tenant.as_ref(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(number: i64, key: &str, attempts: u32) -> Option<Letter> {
        Some(Letter {
            number,
            key: named(key),
            outcome: Outcome::Retrying,
            attempts,
            parked_at: Timestamp::from_millis(1_000),
        })
    }

    fn named(key: &str) -> Words {
        ("crm".into(), "acme".into(), key.into())
    }

    #[test]
    fn only_what_is_in_its_turn_is_tried() {
        let all = HashMap::from([
            (named("a"), vec![1, 3, 4, 6]),
            (named("b"), vec![2, 5]),
            (named("c"), vec![7, 8]),
        ]);
        // 4 is of another feed, 7 came before 8 and is not here, 9 went in the meantime.
        let mut letters = vec![
            letter(1, "a", 1),
            letter(2, "b", 1),
            letter(3, "a", 0),
            letter(5, "b", 0),
            letter(6, "a", 0),
            letter(8, "c", 0),
            None,
        ];
        in_turn(&mut letters, &all);
        let left: Vec<i64> = letters
            .iter()
            .flatten()
            .map(|letter| letter.number)
            .collect();
        assert_eq!(left, [1, 2, 3, 5]);
    }

    #[test]
    fn a_conflict_is_over_behind_its_deadline_and_after_enough_tries() {
        let endings = [Ending::Parked(Outcome::Retrying, Reason::new("no parent"))];
        let outcome = |attempts, dead_before| {
            let letters = [letter(1, "a", attempts)];
            let (tried, _) = Tried::of(&letters, &endings, Timestamp::from_millis(dead_before));
            tried.failed[0].1
        };
        assert_eq!(outcome(CONFLICT_TRIES_MIN, 1_000), Outcome::Retrying);
        assert_eq!(outcome(CONFLICT_TRIES_MIN - 2, 5_000), Outcome::Retrying);
        assert_eq!(outcome(CONFLICT_TRIES_MIN - 1, 1_001), Outcome::Dead);
    }
}
