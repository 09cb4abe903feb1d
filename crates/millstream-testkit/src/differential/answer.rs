//! Answers in the form that is compared.

use millstream_core::descriptor::Descriptor;
use millstream_core::entry::{Entry, EntryId, Fields};
use millstream_core::error::{Error, ErrorKind};
use millstream_core::log::{Appended, Description, Position};
use millstream_core::name::{AppName, InstanceId};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Failed(ErrorKind),
    Done,
    Appended(Appended),
    Entries(Vec<Entry>),
    Positions(Vec<Position>),
    Description(Description),
    Descriptors(Vec<Descriptor>),
    /// How many messages there are, and those that were asked for.
    Messages(usize, Vec<Numbered>),
    Count(u64),
    Added(Ordinal),
    Numbered(Vec<Numbered>),
    Claimed(Claimed),
    Pending(Vec<Pending>),
    Shared(Shared),
    Groups(Vec<Group>),
    Consumers(Vec<Consumer>),
    Forgotten(bool),
}

impl Answer {
    pub(super) fn of<T>(result: Result<T, Error>, form: impl FnOnce(T) -> Self) -> Self {
        match result {
            Ok(value) => form(value),
            Err(error) => Self::Failed(error.kind()),
        }
    }

    /// What it is like, for reports.
    pub(super) fn kind(&self) -> &'static str {
        let of = |is_empty| if is_empty { "nothing" } else { "something" };
        match self {
            Self::Failed(ErrorKind::Invalid) => "invalid",
            Self::Failed(ErrorKind::Fenced) => "fenced",
            Self::Failed(_) => "failed",
            Self::Done | Self::Added(_) => "done",
            Self::Appended(Appended::Added) => "added",
            Self::Appended(Appended::Mismatch { .. }) => "mismatch",
            Self::Entries(entries) => of(entries.is_empty()),
            Self::Positions(positions) => of(positions.is_empty()),
            Self::Description(description) => of(description.length == 0),
            Self::Descriptors(descriptors) => of(descriptors.is_empty()),
            Self::Messages(_, messages) => of(messages.is_empty()),
            Self::Count(count) => of(*count == 0),
            Self::Numbered(entries) => of(entries.is_empty()),
            Self::Claimed(Claimed { gone, .. }) if !gone.is_empty() => "gone",
            Self::Claimed(Claimed { more: true, .. }) => "more",
            Self::Claimed(claimed) => of(claimed.entries.is_empty()),
            Self::Pending(pending) => of(pending.is_empty()),
            Self::Shared(shared) => of(shared.length == 0),
            Self::Groups(groups) => of(groups.is_empty()),
            Self::Consumers(consumers) => of(consumers.is_empty()),
            Self::Forgotten(forgotten) => of(!forgotten),
        }
    }
}

/// An id as its place in the order of additions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ordinal {
    Zero,
    Number(usize),
    /// Nothing was ever added with this id.
    Unknown(EntryId),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Numbered {
    pub(super) number: Ordinal,
    pub(super) fields: Fields,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claimed {
    pub(super) entries: Vec<Numbered>,
    pub(super) gone: Vec<Ordinal>,
    /// Whether to go on.
    pub(super) more: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pending {
    pub(super) number: Ordinal,
    pub(super) consumer: InstanceId,
    pub(super) delivery_count: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shared {
    pub(super) length: u64,
    pub(super) added: u64,
    pub(super) first: Option<Ordinal>,
    pub(super) last: Ordinal,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) name: AppName,
    pub(super) last_delivered: Ordinal,
    pub(super) pending: u64,
    pub(super) lag: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Consumer {
    pub(super) name: InstanceId,
    pub(super) pending: u64,
}
