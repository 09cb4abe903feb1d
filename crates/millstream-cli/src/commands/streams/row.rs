use serde::Serialize;

use millstream::core::entry::EntryId;

use crate::commands::streams::state::State;

/// One shard, or the shared stream.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    pub(super) stream: String,
    /// Whose it is; anyone's where it is the shared one.
    pub(super) publisher: Option<String>,
    pub(super) shard: Option<u16>,
    pub(super) length: u64,
    pub(super) first: Option<Id>,
    pub(super) last: Id,
    /// Entries up to here may be gone.
    pub(super) floor: Option<Id>,
    /// The last event that the publisher has numbered.
    pub(super) top: Option<Id>,
    pub(super) state: State,
    pub(super) groups: Vec<Group>,
}

/// How far an application is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Group {
    pub(super) name: String,
    /// The last entry that it shows to have settled, or on the shared stream was handed.
    pub(super) at: Id,
    pub(super) lag: u64,
    pub(super) pending: u64,
    /// Where it began to follow; none where it is not registered.
    pub(super) base: Option<Id>,
    /// What the publisher knows it to have settled; none where it is not registered.
    pub(super) settled: Option<Id>,
    /// Whether nothing can be removed before it has settled more.
    pub(super) holds_floor: bool,
}

/// An id as its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Id(pub(super) EntryId);

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Id {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}
