//! Hands events to Millstream from outside an application's transaction.

use std::sync::Arc;

use uuid::Uuid;

use millstream_core::clock::Clock;
use millstream_core::entry::EntryId;
use millstream_core::error::Error;
use millstream_core::name::{AppName, EventId, StreamName};
use millstream_core::outbox::{Inserted, NewEvent, Outbox};
use millstream_core::queue::Queue;
use millstream_core::wire;

/// Events written to an outbox in one transaction.
pub const BATCH_MAX: usize = 500;

/// Writes events to an application's outbox, in transactions of up to [`BATCH_MAX`].
///
/// An event whose id is there already is left out, so that a run that broke off can be repeated.
/// After success every event will be sent; after an error those counted by `progress` will be.
///
/// # Errors
///
/// [`Unavailable`](millstream_core::error::ErrorKind::Unavailable) when the database is away.
pub async fn publish(
    outbox: &dyn Outbox,
    stream: &StreamName,
    events: &[NewEvent],
    mut progress: impl FnMut(Inserted),
) -> Result<Inserted, Error> {
    let mut total = Inserted::default();
    for events in events.chunks(BATCH_MAX) {
        let inserted = outbox.insert(stream, events).await?;
        total.added += inserted.added;
        total.repeated += inserted.repeated;
        progress(inserted);
    }
    Ok(total)
}

/// Adds events to the shared stream, past every outbox.
///
/// Weaker than [`publish`]: what the transport loses is lost, and a program that dies between its own
/// commit and this call has published nothing.
#[derive(Debug, Clone)]
pub struct Direct {
    queue: Arc<dyn Queue>,
    clock: Arc<dyn Clock>,
    source: AppName,
}

impl Direct {
    /// Publishes in the name of `source`.
    pub fn new(queue: Arc<dyn Queue>, clock: Arc<dyn Clock>, source: AppName) -> Self {
        Self {
            queue,
            clock,
            source,
        }
    }

    /// Adds an event and returns its id and the entry's.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](millstream_core::error::ErrorKind::Unavailable) when the transport is away. It
    /// is then unknown whether the event was added; added again under the same id, it is applied
    /// once.
    pub async fn publish(
        &self,
        stream: &StreamName,
        event: &NewEvent,
    ) -> Result<(EventId, EntryId), Error> {
        let id = event.id.clone().unwrap_or_else(|| {
            EventId::new(Uuid::now_v7().to_string()).expect("a UUID is a valid event id")
        });
        let timestamp = match &event.timestamp {
            Some(timestamp) => timestamp.clone(),
            None => self.clock.now().to_string(),
        };
        let source = event.source.as_ref().unwrap_or(&self.source);
        let fields = wire::encode_shared(event, &id, source, &timestamp);
        let entry = self.queue.add(stream, &fields).await?;
        Ok((id, entry))
    }
}
