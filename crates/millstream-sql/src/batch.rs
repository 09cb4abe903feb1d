//! What settling a batch is about, on whichever database: what was here before, and how it ends.

use millstream_core::delivery::{Content, Delivery, Outcome, Reason};
use millstream_core::entry::Shard;
use millstream_core::lease::Feed;
use millstream_core::name::{EventId, TenantId};

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
}

/// What a look into the inbox says about a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// It need not be applied.
    Repeated,
    /// It was not here.
    New(Twin),
}

impl Found {
    pub(crate) fn twin(self) -> Twin {
        match self {
            Self::New(twin) => twin,
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

/// A delivery, and whether it was settled before.
#[derive(Clone, Copy)]
pub(crate) struct Item<'a> {
    pub(crate) delivery: &'a Delivery,
    pub(crate) repeated: bool,
}

/// How a delivery ends.
#[derive(Debug, Clone)]
pub(crate) enum Ending {
    /// It is settled.
    Settled(Outcome),
    /// It is parked, or waits behind one that is.
    Parked(Outcome, Reason),
    /// Its event was settled or parked before.
    Repeated,
}

/// The tenant of a delivery, if it could be read.
pub(crate) fn tenant(delivery: &Delivery) -> Option<&TenantId> {
    match &delivery.content {
        Content::Event { event, .. } => Some(&event.tenant),
        Content::Undecodable(part) => part.tenant.as_ref(),
    }
}
