//! An event that cannot be applied as long as something else is in its way, such as a lock on its row.
//!
//! The database says of it what it says of any outage. That it is none shows in two things: it does not
//! end, and everything else can be written meanwhile.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use millstream_core::delivery::{Content, Delivery, Plan, Reason};
use millstream_core::error::{Error, ErrorKind};
use millstream_core::store::Batch;

use super::Settler;

/// Failures in a row, at the least: of a batch, and of an event that is the last of one that was split.
const TRIES_MIN: u32 = 6;
const TRIES_LAST: u32 = 3;

/// Events of one batch that are set aside: where more cannot be applied, their table is the cause.
const SET_ASIDE_MAX: u32 = 10;

/// How long a batch may fail until it is looked whether something in it is the cause.
#[derive(Debug)]
pub(super) struct Patience {
    tries: u32,
    until: Option<Instant>,
}

impl Patience {
    fn new(time: Duration) -> Self {
        Self {
            tries: TRIES_MIN,
            until: Some(Instant::now() + time),
        }
    }

    /// With a part of a batch of which that is known.
    pub(super) fn with_part(part: &Batch) -> Self {
        Self {
            tries: match part.deliveries.len() {
                1 => TRIES_LAST,
                _ => 1,
            },
            until: None,
        }
    }

    /// Notes a failure. Whether it is over.
    fn failed(&mut self) -> bool {
        self.tries = self.tries.saturating_sub(1);
        self.tries == 0 && self.until.is_none_or(|until| Instant::now() >= until)
    }
}

/// What is done about a batch that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remedy {
    /// It is tried again.
    Wait,
    /// Each half is tried by itself.
    Split,
    /// Its one event is set aside.
    SetAside,
}

impl Settler {
    pub(super) fn patience(&self) -> Patience {
        Patience::new(self.stuck_after)
    }

    /// What to do about a batch that failed: something in it is the cause if patience is over, and the database
    /// takes what is written at the same place.
    pub(super) async fn remedy(
        &self,
        batch: &Batch,
        error: &Error,
        patience: &mut Patience,
        set_aside: u32,
    ) -> Remedy {
        let remedy = match &*batch.deliveries {
            [] => return Remedy::Wait,
            [one] if !is_applied(one) => return Remedy::Wait,
            [_] => Remedy::SetAside,
            _ => Remedy::Split,
        };
        let may_be = error.kind() == ErrorKind::Unavailable
            && batch.set_aside.is_none()
            && set_aside < SET_ASIDE_MAX;
        if !may_be || !patience.failed() {
            return Remedy::Wait;
        }
        let probe = Batch {
            from: batch.from.clone(),
            to: batch.from.clone(),
            deliveries: Arc::new([]),
            applied_at: batch.applied_at,
            again: None,
            set_aside: None,
        };
        if self.store.apply(&self.lease, &probe).await.is_err() {
            *patience = self.patience();
            return Remedy::Wait;
        }
        let (feed, events) = (&self.lease.feed, batch.deliveries.len());
        warn!(%feed, events, %error, "the database works, but for something among these events");
        remedy
    }
}

/// Whether it changes anything: nothing else can be in anybody's way.
fn is_applied(delivery: &Delivery) -> bool {
    let Content::Event { plan, .. } = &delivery.content else {
        return false;
    };
    matches!(plan, Plan::Apply { .. })
}

/// Why an event is set aside that failed for this reason.
pub(super) fn set_aside(error: &Error) -> Reason {
    Reason::new(format!("it stood in the way of others: {error}"))
}
