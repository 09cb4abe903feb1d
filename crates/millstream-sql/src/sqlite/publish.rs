use rusqlite::named_params;
use uuid::Uuid;

use millstream_core::error::{Error, ErrorKind};
use millstream_core::name::{EventId, PartitionKey, StreamName};
use millstream_core::outbox::NewEvent;

use crate::identifier::Prefix;
use crate::sqlite::database::while_doing;

/// Writes an event into the outbox, in the caller's own transaction, and returns its id.
///
/// The event exists if and only if that transaction commits. `stream` is the application's first
/// one where none is given. Insert last: the transaction then holds its locks shortest.
///
/// # Errors
///
/// [`Conflict`](ErrorKind::Conflict) when an event with this id is in the
/// outbox already, [`Invalid`](ErrorKind::Invalid) when a field is too long,
/// [`Misconfigured`](ErrorKind::Misconfigured) when our tables are missing.
pub fn publish(
    transaction: &rusqlite::Transaction<'_>,
    prefix: &Prefix,
    stream: Option<&StreamName>,
    event: &NewEvent,
) -> Result<EventId, Error> {
    match insert(transaction, prefix, stream, event)? {
        (id, true) => Ok(id),
        (id, false) => {
            let text = format!("the event {id} was sent already");
            Err(Error::new(ErrorKind::Conflict, text))
        }
    }
}

/// The same for several events.
///
/// # Errors
///
/// As [`publish`]; a part of the events may be written then, so the transaction must be rolled back.
pub fn publish_all(
    transaction: &rusqlite::Transaction<'_>,
    prefix: &Prefix,
    stream: Option<&StreamName>,
    events: &[NewEvent],
) -> Result<Vec<EventId>, Error> {
    events
        .iter()
        .map(|event| publish(transaction, prefix, stream, event))
        .collect()
}

/// Writes an event unless one with its id is there, sent or not, and says whether it was new.
pub(super) fn publish_once(
    transaction: &rusqlite::Transaction<'_>,
    prefix: &Prefix,
    stream: Option<&StreamName>,
    event: &NewEvent,
) -> Result<bool, Error> {
    if let Some(id) = &event.id {
        let known: bool = transaction
            .prepare_cached(
                &prefix.sql("SELECT EXISTS (SELECT 1 FROM ~outbox WHERE event_id = ?1)"),
            )
            .and_then(|mut query| query.query_row([id.as_str()], |row| row.get(0)))
            .map_err(while_doing("look into the outbox"))?;
        if known {
            return Ok(false);
        }
    }
    let (_, new) = insert(transaction, prefix, stream, event)?;
    Ok(new)
}

fn insert(
    transaction: &rusqlite::Transaction<'_>,
    prefix: &Prefix,
    stream: Option<&StreamName>,
    event: &NewEvent,
) -> Result<(EventId, bool), Error> {
    let id = event.id.clone().unwrap_or_else(|| {
        EventId::new(Uuid::now_v7().to_string()).expect("a UUID is a valid event id")
    });
    let sql = "INSERT INTO ~outbox
           (event_id, stream, event_type, tenant_id, entity_id, event_data, target_application,
            partition_key, version, published_by, metadata, occurred_at)
         VALUES (:id, :stream, :type, :tenant, :entity, :data, :target, :key, :version, :by,
                 :metadata, coalesce(:occurred_at, strftime('%Y-%m-%dT%H:%M:%fZ', 'now')))";
    let inserted = transaction
        .prepare_cached(&prefix.sql(sql))
        .and_then(|mut statement| {
            statement.execute(named_params! {
                ":id": id.as_str(),
                ":stream": stream.map(StreamName::as_str),
                ":type": event.event_type.as_str(),
                ":tenant": event.tenant.as_str(),
                ":entity": event.entity.as_str(),
                ":data": event.data.as_str(),
                ":target": event.target.to_string(),
                ":key": event.partition_key.as_ref().map(PartitionKey::as_str),
                ":version": event.version,
                ":by": event.published_by,
                ":metadata": event.metadata.as_str(),
                ":occurred_at": event.timestamp,
            })
        })
        .map_err(while_doing("write to the outbox"))?;
    Ok((id, inserted > 0))
}
