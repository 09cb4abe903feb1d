use std::path::Path;

use crate::cli::Bench;
use crate::commands::bench::part::Measured;
use crate::commands::bench::server::{bare, feed, idle, outbox};

/// What is measured of a server, each in a process of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::commands::bench) enum ServerPart {
    /// Fills an outbox, once for all rounds.
    Outbox,
    /// A pipeline of plain additions.
    Bare,
    /// A relay that sends the outbox.
    Relay,
    /// The appends of a relay, from memory.
    Append,
    /// A relay without anything to send.
    IdleRelay,
    /// A consumer without anything to apply.
    IdleConsumer,
}

impl ServerPart {
    pub(in crate::commands::bench) async fn measure(
        self,
        args: &Bench,
        dir: &Path,
    ) -> anyhow::Result<Measured> {
        match self {
            Self::Outbox => outbox::fill(args, dir).await,
            Self::Relay => outbox::send(args, dir).await,
            Self::Bare => bare::measure(args, dir).await,
            Self::Append => feed::measure(args, dir).await,
            Self::IdleRelay => idle::relay(args, dir).await,
            Self::IdleConsumer => idle::consumer(args, dir).await,
        }
    }
}
