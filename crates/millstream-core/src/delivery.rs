//! Entries handed to a consumer, and how each ends.

use std::fmt;

use crate::change::Change;
use crate::clock::Timestamp;
use crate::entry::{Entry, EntryId, Fields};
use crate::event::{Event, Sequence};
use crate::name::{EventId, PartitionKey, TenantId};

/// An entry on its way to the database, with what is to be done about it.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Where it stands in its stream.
    pub entry: EntryId,
    /// When it was read.
    pub received_at: Timestamp,
    /// The fields as they were read, kept for the case that the event cannot be applied.
    pub raw: Fields,
    /// What it says, and what follows from it.
    pub content: Content,
}

/// What an entry turned out to be.
#[derive(Debug, Clone)]
pub enum Content {
    /// An event that this application wants.
    Event {
        /// The event.
        event: Box<Event>,
        /// What must stay in order; equals the entity id unless the publisher says otherwise.
        partition_key: PartitionKey,
        /// What to do.
        plan: Plan,
    },
    /// Something that cannot be decoded, with as much as could be read.
    Undecodable(Box<Undecodable>),
}

/// What to do about a decoded event.
#[derive(Debug, Clone)]
pub enum Plan {
    /// Change rows, and call the application's handler if it has one for this type.
    Apply {
        /// The rows.
        changes: Vec<Change>,
        /// Whether the store holds a handler for it.
        handler: bool,
    },
    /// Nothing is mapped for this type.
    Skip,
    /// A mapping cannot be computed, or a value does not fit its column.
    Invalid(Reason),
}

/// An entry that is no event, and what could be read of it all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undecodable {
    /// What is wrong.
    pub reason: Reason,
    /// The event id, if it could be read.
    pub id: Option<EventId>,
    /// The event type, if it could be read.
    pub event_type: Option<String>,
    /// The tenant, if it could be read.
    pub tenant: Option<TenantId>,
    /// The key, if it could be read: what comes after waits for it.
    pub key: Option<PartitionKey>,
    /// The source, if it could be read.
    pub source: Option<String>,
}

/// Why an event cannot be applied, in words that hold no value of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason(String);

impl Reason {
    /// Wraps a message, cut to [`REASON_BYTES_MAX`](crate::limits::REASON_BYTES_MAX).
    pub fn new(message: impl Into<String>) -> Self {
        let mut message = message.into();
        let mut end = message.len().min(crate::limits::REASON_BYTES_MAX);
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        message.truncate(end);
        Self(message)
    }

    /// The message.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a delivery ended, or why it has not yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// Its changes are committed.
    Applied,
    /// A newer event had been applied before it.
    Superseded,
    /// Nothing is mapped for its type.
    Skipped,
    /// It failed and may succeed later.
    Retrying,
    /// An earlier event of its key has failed; it waits behind that.
    Blocked,
    /// It failed and will not be tried again unless a person says so.
    Dead,
}

impl Outcome {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 6] = [
        Self::Applied,
        Self::Superseded,
        Self::Skipped,
        Self::Retrying,
        Self::Blocked,
        Self::Dead,
    ];

    /// The word for it, as tables and commands show it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Superseded => "superseded",
            Self::Skipped => "skipped",
            Self::Retrying => "retrying",
            Self::Blocked => "blocked",
            Self::Dead => "dead",
        }
    }

    /// The outcome of this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|outcome| outcome.as_str() == word)
    }

    /// The status that `event_tracking` shows for it.
    pub fn status(self) -> &'static str {
        match self {
            Self::Applied | Self::Superseded | Self::Skipped => "processed",
            Self::Retrying | Self::Blocked => "pending",
            Self::Dead => "failed",
        }
    }
}

/// How many deliveries ended which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts([u64; Outcome::ALL.len()]);

impl Counts {
    /// Counts one more.
    pub fn add(&mut self, outcome: Outcome) {
        self.0[outcome as usize] += 1;
    }

    /// Counts `n` more.
    pub fn add_many(&mut self, outcome: Outcome, n: u64) {
        self.0[outcome as usize] += n;
    }

    /// Adds another count.
    pub fn merge(&mut self, other: &Self) {
        for (own, other) in self.0.iter_mut().zip(other.0) {
            *own += other;
        }
    }

    /// Takes another count away, as far as it goes.
    pub fn take(&mut self, other: &Self) {
        for (own, other) in self.0.iter_mut().zip(other.0) {
            *own = own.saturating_sub(other);
        }
    }

    /// How many ended this way.
    pub fn get(&self, outcome: Outcome) -> u64 {
        self.0[outcome as usize]
    }

    /// How many need nothing more.
    pub fn settled(&self) -> u64 {
        let outcomes = Outcome::ALL.into_iter();
        let settled = outcomes.filter(|outcome| outcome.status() == "processed");
        settled.map(|outcome| self.get(outcome)).sum()
    }

    /// How many there are in all.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

/// What decoding an entry of a stream gives.
#[derive(Debug, Clone)]
pub struct Decoded {
    /// The event.
    pub event: Event,
    /// Its place in an owned stream; on the shared stream the key is the entity id.
    pub sequence: Sequence,
}

impl Delivery {
    /// Makes the delivery of an entry: when it was read, and what it turned out to be.
    pub fn new(entry: Entry, received_at: Timestamp, content: Content) -> Self {
        Self {
            entry: entry.id,
            received_at,
            raw: entry.fields,
            content,
        }
    }

    /// The event id, if there is one.
    pub fn event_id(&self) -> Option<&EventId> {
        match &self.content {
            Content::Event { event, .. } => Some(&event.id),
            Content::Undecodable(undecodable) => undecodable.id.as_ref(),
        }
    }

    /// What must stay in order behind this delivery, if it can be told: tenant and key.
    pub fn key(&self) -> Option<(&TenantId, &PartitionKey)> {
        match &self.content {
            Content::Event {
                event,
                partition_key,
                ..
            } => Some((&event.tenant, partition_key)),
            Content::Undecodable(undecodable) => {
                Some((undecodable.tenant.as_ref()?, undecodable.key.as_ref()?))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_cut_between_characters() {
        let reason = Reason::new("é".repeat(crate::limits::REASON_BYTES_MAX));
        assert_eq!(reason.as_str().len(), crate::limits::REASON_BYTES_MAX);
    }

    #[test]
    fn words_read_back() {
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::parse(outcome.as_str()), Some(outcome));
        }
    }
}
