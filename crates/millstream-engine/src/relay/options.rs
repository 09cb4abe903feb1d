use std::time::Duration;

use millstream_core::name::{AppName, InstanceId, StreamName};

use crate::consumer;

/// What a relay does, and within which bounds.
#[derive(Debug, Clone)]
pub struct Options {
    /// The application whose outbox is sent.
    pub application: AppName,
    /// This process among those of the application. A new name for each start by default.
    pub instance: InstanceId,
    /// The streams that it publishes to.
    pub publishes: Vec<StreamOptions>,
    /// How long an instance may be silent before others take its streams. 10 s by default.
    pub lease: Duration,
    /// At most this many events are numbered in one transaction. 1,000 by default.
    pub batch_max: usize,
    /// Whether a forked stream is begun anew, as a new generation, instead of being left alone until a
    /// person has decided. False by default.
    pub begin_generation: bool,
}

/// A stream that an application owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamOptions {
    /// Its name.
    pub name: StreamName,
    /// How many shards it has; fixed once it has been published to.
    pub shards: u16,
    /// How long events are kept at least, after they were numbered, in outbox and stream. Those that
    /// some subscriber has not settled are kept longer; only a transport that is full gives up sooner
    /// what everybody has settled. 7 days by default.
    pub retention: Duration,
    /// Events of each shard that are kept below what everybody has settled, for replays. 1,000 by
    /// default.
    pub replay_margin: u64,
}

impl StreamOptions {
    /// A stream with everything else at its default.
    pub fn new(name: StreamName, shards: u16) -> Self {
        Self {
            name,
            shards,
            retention: Duration::from_secs(7 * 24 * 60 * 60),
            replay_margin: 1_000,
        }
    }
}

impl Options {
    /// Everything at its default.
    pub fn new(application: AppName) -> Self {
        let consumer::Options {
            instance, lease, ..
        } = consumer::Options::new(application.clone());
        Self {
            application,
            instance,
            publishes: Vec::new(),
            lease,
            batch_max: 1_000,
            begin_generation: false,
        }
    }
}
