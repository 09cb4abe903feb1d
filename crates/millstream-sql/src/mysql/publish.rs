use mysql_async::prelude::Queryable;
use mysql_async::{Transaction, Value};
use uuid::Uuid;

use millstream_core::error::{Error, ErrorKind};
use millstream_core::name::{EventId, PartitionKey, StreamName};
use millstream_core::outbox::NewEvent;

use crate::identifier::Prefix;
use crate::mysql::error::{DUPLICATE_ENTRY, from_mysql, number};
use crate::mysql::session::values;

const DOING: &str = "write to the outbox";

/// Writes an event into the outbox, in the caller's own transaction, and returns its id.
///
/// The event exists if and only if that transaction commits. `stream` is the application's first
/// one where none is given. Insert last: the event's key is locked until the transaction ends, and a
/// transaction that meets a deadlock must be done again as a whole.
///
/// # Errors
///
/// [`Conflict`](ErrorKind::Conflict) when an event with this id is in the outbox already,
/// [`Invalid`](ErrorKind::Invalid) when a field is too long,
/// [`Misconfigured`](ErrorKind::Misconfigured) when our tables are missing,
/// [`Unavailable`](ErrorKind::Unavailable) when the database is away or the key is locked.
pub async fn publish(
    transaction: &mut Transaction<'_>,
    prefix: &Prefix,
    stream: Option<&StreamName>,
    event: &NewEvent,
) -> Result<EventId, Error> {
    insert(transaction, prefix, stream, event).await?
}

/// The same for several events, whose keys are locked in one order first: transactions that publish
/// events of the same keys in different orders would otherwise wait for each other for ever.
///
/// # Errors
///
/// As [`publish`]; a part of the events may be written then, so the transaction must be rolled back.
pub async fn publish_all(
    transaction: &mut Transaction<'_>,
    prefix: &Prefix,
    stream: Option<&StreamName>,
    events: &[NewEvent],
) -> Result<Vec<EventId>, Error> {
    lock_keys(transaction, prefix, events).await?;
    let mut ids = Vec::with_capacity(events.len());
    for event in events {
        ids.push(publish(transaction, prefix, stream, event).await?);
    }
    Ok(ids)
}

/// Makes and locks the rows of the events' keys, in their order.
pub(super) async fn lock_keys(
    transaction: &mut impl Queryable,
    prefix: &Prefix,
    events: &[NewEvent],
) -> Result<(), Error> {
    let mut keys: Vec<(&str, &str)> = events
        .iter()
        .map(|event| {
            let key = event.partition_key.as_ref().map(PartitionKey::as_str);
            (event.tenant.as_str(), key.unwrap_or(event.entity.as_str()))
        })
        .collect();
    keys.sort_unstable();
    keys.dedup();
    if keys.len() < 2 {
        return Ok(());
    }
    let sql = prefix.sql(
        "INSERT INTO ~millstream_keys (tenant_id, partition_key, version) VALUES (?, ?, 0)
         ON DUPLICATE KEY UPDATE version = version",
    );
    let rows: Vec<Vec<Value>> = keys
        .into_iter()
        .map(|(tenant, key)| values![tenant, key])
        .collect();
    let locked = transaction.exec_batch(sql, rows).await;
    locked.map_err(|error| from_mysql(error, "lock the keys of events"))
}

/// Writes an event; the inner error says that one with its id is there, sent or not.
pub(super) async fn insert(
    transaction: &mut impl Queryable,
    prefix: &Prefix,
    stream: Option<&StreamName>,
    event: &NewEvent,
) -> Result<Result<EventId, Error>, Error> {
    let id = event.id.clone().unwrap_or_else(|| {
        EventId::new(Uuid::now_v7().to_string()).expect("a UUID is a valid event id")
    });
    let sql = prefix.sql(
        "INSERT INTO ~outbox
           (event_id, stream, event_type, tenant_id, entity_id, event_data, target_application,
            partition_key, version, published_by, metadata, occurred_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    );
    let row = values![
        id.as_str(),
        stream.map(StreamName::as_str),
        event.event_type.as_str(),
        event.tenant.as_str(),
        event.entity.as_str(),
        event.data.as_str(),
        event.target.to_string(),
        event.partition_key.as_ref().map(PartitionKey::as_str),
        event.version.as_str(),
        event.published_by.as_str(),
        event.metadata.as_str(),
        event.timestamp.as_deref(),
    ];
    match transaction.exec_drop(sql, row).await {
        Ok(()) => Ok(Ok(id)),
        Err(error) if number(&error) == Some(DUPLICATE_ENTRY) => {
            let text = format!("the event {id} was sent already");
            Ok(Err(Error::new(ErrorKind::Conflict, text)))
        }
        Err(error) => Err(from_mysql(error, DOING)),
    }
}
