//! For applications whose database is MariaDB or MySQL.

pub use millstream_sql::identifier::Prefix;
pub use millstream_sql::mysql::{
    Database, Handler, Handlers, Lent, Options, Server, migrate, pending, publish as publish_to,
    publish_all as publish_all_to,
};
pub use mysql_async;

use millstream_core::error::Error;
use millstream_core::name::EventId;
use millstream_core::outbox::NewEvent;

/// Writes an event into the outbox, in the caller's own transaction, and returns its id.
///
/// The event exists if and only if that transaction commits. It goes to the first stream that the
/// application publishes to; [`publish_to`] says otherwise. Publish last: the event's key is locked until
/// the transaction ends, and a transaction that meets a deadlock must be done again as a whole.
///
/// # Errors
///
/// As [`publish_to`].
pub async fn publish(
    transaction: &mut mysql_async::Transaction<'_>,
    event: &NewEvent,
) -> Result<EventId, Error> {
    publish_to(transaction, &Prefix::default(), None, event).await
}

/// The same for several events, whose keys are locked in one order first.
///
/// # Errors
///
/// As [`publish_to`]; a part of the events may be written then, so the transaction must be rolled back.
pub async fn publish_all(
    transaction: &mut mysql_async::Transaction<'_>,
    events: &[NewEvent],
) -> Result<Vec<EventId>, Error> {
    publish_all_to(transaction, &Prefix::default(), None, events).await
}
