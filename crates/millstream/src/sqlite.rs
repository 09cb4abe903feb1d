//! For applications whose database is SQLite.

pub use millstream_sql::identifier::Prefix;
pub use millstream_sql::sqlite::{
    Database, Handler, Handlers, Options, migrate, pending, publish as publish_to,
    publish_all as publish_all_to,
};

use millstream_core::error::Error;
use millstream_core::name::EventId;
use millstream_core::outbox::NewEvent;

/// Writes an event into the outbox, in the caller's own transaction, and returns its id.
///
/// The event exists if and only if that transaction commits. It goes to the first stream that the
/// application publishes to; [`publish_to`] says otherwise.
///
/// # Errors
///
/// [`Conflict`](millstream_core::error::ErrorKind::Conflict) when an event with this id is in the
/// outbox already, [`Misconfigured`](millstream_core::error::ErrorKind::Misconfigured) when our
/// tables are missing: run [`migrate`] first.
pub fn publish(
    transaction: &rusqlite::Transaction<'_>,
    event: &NewEvent,
) -> Result<EventId, Error> {
    publish_to(transaction, &Prefix::default(), None, event)
}

/// The same for several events.
///
/// # Errors
///
/// As [`publish`]; a part of the events may be written then, so the transaction must be rolled back.
pub fn publish_all(
    transaction: &rusqlite::Transaction<'_>,
    events: &[NewEvent],
) -> Result<Vec<EventId>, Error> {
    publish_all_to(transaction, &Prefix::default(), None, events)
}
