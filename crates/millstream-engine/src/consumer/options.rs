use std::time::Duration;

use millstream_core::mapping::Spec;
use millstream_core::name::{AppName, InstanceId, StreamName};

/// A stream keeps events for 7 days by default, and a dead one may be published again a month later.
const INBOX_RETENTION: Duration = Duration::from_secs(37 * 24 * 60 * 60);

/// What a consumer does, and within which bounds.
#[derive(Debug, Clone)]
pub struct Options {
    /// The application whose tables are kept.
    pub application: AppName,
    /// This process among those of the application. A new name for each start by default.
    pub instance: InstanceId,
    /// The streams to read.
    pub subscribes: Vec<StreamName>,
    /// Those of them whose shared stream the instances of the application compete for, without order
    /// between them. None by default.
    pub parallel: Vec<StreamName>,
    /// How long one of the competing instances may hold an entry before another takes it over. 30 s by
    /// default: far longer than a transaction takes, since it is measured by the transport's clock.
    pub claim_idle: Duration,
    /// How events become rows.
    pub mappings: Vec<Spec>,
    /// How long an instance may be silent before others take its feeds. 10 s by default.
    pub lease: Duration,
    /// At most this many events in one transaction. 1,000 by default.
    pub batch_max: usize,
    /// How long one transaction should hold its locks. 20 ms by default.
    pub transaction_time: Duration,
    /// How long an event that conflicts with other rows, because its parent is missing or a value is
    /// taken, is tried again before it is dead. An hour by default.
    pub conflict_deadline: Duration,
    /// How long a batch may fail while the database works until the event is looked for that stands in the
    /// way of the others, such as one whose row somebody else has locked. It is set aside, tried again until it
    /// goes, and never dead for that. 30 s by default.
    pub stuck_after: Duration,
    /// How long settled events stay in the inbox, which tells repeats of the shared stream, and what
    /// happened to an event. 37 days by default: longer than anything may come again.
    pub inbox_retention: Duration,
    /// Whether a group that another database holds is taken from it. False by default.
    pub take_over: bool,
    /// Whether a new subscriber follows a stream whose beginning is gone, from what there is. False by
    /// default: it would lack what came before.
    pub from_oldest: bool,
}

impl Options {
    /// Everything at its default.
    pub fn new(application: AppName) -> Self {
        Self {
            application,
            instance: new_instance(),
            subscribes: Vec::new(),
            parallel: Vec::new(),
            claim_idle: Duration::from_secs(30),
            mappings: Vec::new(),
            lease: Duration::from_secs(10),
            batch_max: 1_000,
            transaction_time: Duration::from_millis(20),
            conflict_deadline: Duration::from_secs(60 * 60),
            stuck_after: Duration::from_secs(30),
            inbox_retention: INBOX_RETENTION,
            take_over: false,
            from_oldest: false,
        }
    }
}

/// A name that no other process has.
pub(crate) fn new_instance() -> InstanceId {
    InstanceId::new(uuid::Uuid::new_v4().to_string()).expect("a UUID is a valid instance id")
}
