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
    /// At most this many events are numbered in one transaction. 500 by default.
    pub batch_max: usize,
}

/// A stream that an application owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamOptions {
    /// Its name.
    pub name: StreamName,
    /// How many shards it has; fixed once it has been published to.
    pub shards: u16,
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
            batch_max: 500,
        }
    }
}
