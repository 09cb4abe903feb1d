//! The names of what we keep on a server.

use std::fmt;

use millstream_core::entry::Shard;
use millstream_core::name::{AppName, StreamName};

/// The hash of all descriptors, a field for each stream and owner.
pub(super) const PUBLISHERS: &str = "millstream:publishers";

/// The key of a stream. In those of shards and acknowledgments braces stand around what decides about
/// the slot on a Cluster; the name of a shared stream has none.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key(String);

impl Key {
    pub(super) fn owned(shard: &Shard) -> Self {
        Self(shard.to_string())
    }

    pub(super) fn shared(stream: &StreamName) -> Self {
        Self(stream.as_str().into())
    }

    pub(super) fn acknowledgments(owner: &AppName) -> Self {
        Self(format!("acknowledgments:{{{owner}}}"))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
