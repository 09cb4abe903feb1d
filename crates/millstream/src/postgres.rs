//! For applications whose database is PostgreSQL.

pub use millstream_sql::identifier::Prefix;
pub use millstream_sql::postgres::{
    Database, Handler, Handlers, Options, Server, migrate, pending, publish as publish_to,
    publish_all as publish_all_to,
};
pub use tokio_postgres;

use millstream_core::error::Error;
use millstream_core::name::EventId;
use millstream_core::outbox::NewEvent;

/// Writes an event into the outbox, in the caller's own transaction, and returns its id.
///
/// The event exists if and only if that transaction commits, which holds the event's key from here on:
/// publish last, and several events by [`publish_all`]. It goes to the first stream that the
/// application publishes to; [`publish_to`] says otherwise.
///
/// # Errors
///
/// As [`publish_to`]. The transaction is of no use after any of them.
pub async fn publish(
    transaction: &tokio_postgres::Transaction<'_>,
    event: &NewEvent,
) -> Result<EventId, Error> {
    publish_to(transaction, &Prefix::default(), None, event).await
}

/// The same for several events, whose keys are locked in one order first.
///
/// # Errors
///
/// As [`publish_to`]. The transaction is of no use after any of them.
pub async fn publish_all(
    transaction: &tokio_postgres::Transaction<'_>,
    events: &[NewEvent],
) -> Result<Vec<EventId>, Error> {
    publish_all_to(transaction, &Prefix::default(), None, events).await
}
