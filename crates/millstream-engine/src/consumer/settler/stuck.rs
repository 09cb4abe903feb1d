//! An event that cannot be applied as long as something else is in its way, such as a lock on its row.
//!
//! The database says of it what it says of any outage. That it is none shows in two things: it does not
//! end, and everything else can be written meanwhile.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use millstream_core::delivery::Reason;
use millstream_core::error::{Error, ErrorKind};
use millstream_core::store::Batch;

use super::Settler;

/// Failures in a row, at the least.
const TRIES_MIN: u32 = 6;

/// How long a batch may fail until it is looked whether something in it is the cause.
#[derive(Debug)]
pub(super) struct Patience {
    tries: u32,
    until: Option<Instant>,
}

impl Patience {
    /// Of a part of a batch of which that is known.
    pub(super) const NONE: Self = Self {
        tries: 1,
        until: None,
    };

    fn new(time: Duration) -> Self {
        Self {
            tries: TRIES_MIN,
            until: Some(Instant::now() + time),
        }
    }

    /// Notes a failure. Whether it is over.
    fn failed(&mut self) -> bool {
        self.tries = self.tries.saturating_sub(1);
        self.tries == 0 && self.until.is_none_or(|until| Instant::now() >= until)
    }
}

impl Settler {
    pub(super) fn patience(&self) -> Patience {
        Patience::new(self.stuck_after)
    }

    /// Whether something in a batch that failed is the cause: patience is over, and the database takes what
    /// is written at the same place.
    pub(super) async fn stands_in_the_way(
        &self,
        batch: &Batch,
        error: &Error,
        patience: &mut Patience,
    ) -> bool {
        let may_be = error.kind() == ErrorKind::Unavailable
            && !batch.deliveries.is_empty()
            && batch.set_aside.is_none();
        if !may_be || !patience.failed() {
            return false;
        }
        let probe = Batch {
            from: batch.from.clone(),
            to: batch.from.clone(),
            deliveries: Arc::new([]),
            applied_at: batch.applied_at,
            again: None,
            set_aside: None,
        };
        let works = self.store.apply(&self.lease, &probe).await.is_ok();
        if works {
            let (feed, events) = (&self.lease.feed, batch.deliveries.len());
            warn!(%feed, events, %error, "the database works, but for something among these events");
        } else {
            *patience = self.patience();
        }
        works
    }
}

/// Why an event is set aside that failed for this reason.
pub(super) fn set_aside(error: &Error) -> Reason {
    Reason::new(format!("it stood in the way of others: {error}"))
}
