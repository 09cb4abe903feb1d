use std::fmt;

use clap::ValueEnum;

/// What may happen to a server and to what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Fault {
    /// SIGKILL of every process, the server too
    Kill,
    /// FLUSHALL
    Flushall,
    /// DEL of a shard
    Del,
    /// XDEL of entries in the middle of a shard
    XdelMiddle,
    /// XDEL of the last entry of a shard
    XdelLast,
    /// XADD by somebody else, with the next id or with one of the far future
    Foreign,
    /// RENAME of a shard
    Rename,
    /// XTRIM past everything
    Xtrim,
    /// XGROUP DESTROY of a follower's group
    GroupDestroy,
    /// Memory runs out, and the server evicts streams
    Eviction,
    /// Memory runs out, and the server refuses writes
    Oom,
    /// SIGKILL of the server, and the end of its AOF cut at a random byte
    AofCut,
    /// SIGSTOP of a relay until its successor works
    StoppedRelay,
    /// Replies get lost after their commands ran
    LostReplies,
    /// All of them, mixed
    All,
}

impl Fault {
    /// Those that `all` stands for.
    pub(super) const EACH: [Self; 14] = [
        Self::Kill,
        Self::Flushall,
        Self::Del,
        Self::XdelMiddle,
        Self::XdelLast,
        Self::Foreign,
        Self::Rename,
        Self::Xtrim,
        Self::GroupDestroy,
        Self::Eviction,
        Self::Oom,
        Self::AofCut,
        Self::StoppedRelay,
        Self::LostReplies,
    ];

    /// Whether entries are gone afterwards.
    pub(super) fn robs(self) -> bool {
        matches!(
            self,
            Self::Flushall
                | Self::Del
                | Self::XdelMiddle
                | Self::XdelLast
                | Self::Rename
                | Self::Xtrim
                | Self::Eviction
                | Self::AofCut
        )
    }

    /// Whether it means anything while nothing is published.
    pub(super) fn hits_the_idle(self) -> bool {
        !matches!(self, Self::Oom | Self::StoppedRelay | Self::LostReplies)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}
