use std::collections::{BTreeSet, HashSet};

use deadpool_postgres::Transaction;
use uuid::Uuid;

use millstream_core::error::{Error, ErrorKind};
use millstream_core::name::{EventId, PartitionKey, StreamName};
use millstream_core::outbox::{Inserted, NewEvent};

use crate::identifier::Prefix;
use crate::postgres::database::while_doing;

/// Writes an event into the outbox, in the caller's own transaction, and returns its id.
///
/// The event exists if and only if that transaction commits, which holds the event's key from here on:
/// publish last, and several events by [`publish_all`]. `stream` is the application's first one
/// where none is given.
///
/// # Errors
///
/// [`Conflict`](ErrorKind::Conflict) when an event with this id is in the outbox already,
/// [`Invalid`](ErrorKind::Invalid) when a field is too long, [`Misconfigured`](ErrorKind::Misconfigured)
/// when our tables are missing. The transaction is of no use after any of them.
pub async fn publish(
    transaction: &tokio_postgres::Transaction<'_>,
    prefix: &Prefix,
    stream: Option<&StreamName>,
    event: &NewEvent,
) -> Result<EventId, Error> {
    let id = id_of(event);
    let sql = "INSERT INTO ~outbox
           (event_id, stream, event_type, tenant_id, entity_id, event_data, target_application,
            partition_key, version, published_by, metadata, occurred_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11,
                 coalesce($12, to_char(clock_timestamp() AT TIME ZONE 'UTC',
                                       'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')))";
    let inserted = transaction
        .execute(
            &prefix.sql(sql),
            &[
                &id.as_str(),
                &stream.map(StreamName::as_str),
                &event.event_type.as_str(),
                &event.tenant.as_str(),
                &event.entity.as_str(),
                &event.data.as_str(),
                &event.target.to_string(),
                &event.partition_key.as_ref().map(PartitionKey::as_str),
                &event.version,
                &event.published_by,
                &event.metadata.as_str(),
                &event.timestamp,
            ],
        )
        .await
        .map_err(while_doing("write to the outbox"))?;
    if inserted == 0 {
        let text = format!("the event {id} was sent already");
        return Err(Error::new(ErrorKind::Conflict, text));
    }
    Ok(id)
}

/// The same for several events, whose keys are locked in one order first: transactions that publish events
/// of the same keys in different orders would otherwise wait for each other, and one would be ended.
///
/// # Errors
///
/// As [`publish`].
pub async fn publish_all(
    transaction: &tokio_postgres::Transaction<'_>,
    prefix: &Prefix,
    stream: Option<&StreamName>,
    events: &[NewEvent],
) -> Result<Vec<EventId>, Error> {
    let keys: BTreeSet<_> = events.iter().map(key_of).collect();
    if keys.len() > 1 {
        lock(transaction, prefix, keys).await?;
    }
    let mut ids = Vec::with_capacity(events.len());
    for event in events {
        ids.push(publish(transaction, prefix, stream, event).await?);
    }
    Ok(ids)
}

/// Writes those events whose id is not there, sent or not, and counts them.
pub(super) async fn publish_once(
    tx: &Transaction<'_>,
    prefix: &Prefix,
    stream: &StreamName,
    events: &[NewEvent],
) -> Result<Inserted, Error> {
    let failed = while_doing("write to the outbox");
    // The first of two with one id.
    let mut ids = HashSet::new();
    let mut rows: Vec<(EventId, &NewEvent)> = Vec::with_capacity(events.len());
    for event in events {
        let id = id_of(event);
        if ids.insert(id.clone()) {
            rows.push((id, event));
        }
    }
    let keys: BTreeSet<_> = rows.iter().map(|(_, event)| key_of(event)).collect();
    if keys.len() > 1 {
        lock(tx, prefix, keys).await?;
    }
    let insert = tx
        .prepare_cached(&prefix.sql(
            "INSERT INTO ~outbox
               (event_id, stream, event_type, tenant_id, entity_id, event_data,
                target_application, partition_key, version, published_by, metadata, occurred_at)
             SELECT n.id, $1, n.type, n.tenant, n.entity, n.data, n.target, n.key, n.version, n.by,
                    n.metadata, coalesce(n.at, to_char(clock_timestamp() AT TIME ZONE 'UTC',
                                                       'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'))
             FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                         $8::text[], $9::text[], $10::text[], $11::text[], $12::text[])
               WITH ORDINALITY AS n (id, type, tenant, entity, data, target, key, version, by,
                                     metadata, at, place)
             WHERE NOT EXISTS (SELECT 1 FROM ~outbox o WHERE o.event_id = n.id)
             ORDER BY n.place
             ON CONFLICT (event_id) DO NOTHING",
        ))
        .await
        .map_err(failed)?;
    let each = || rows.iter().map(|(_, event)| *event);
    let ids: Vec<&str> = rows.iter().map(|(id, _)| id.as_str()).collect();
    let types: Vec<&str> = each().map(|e| e.event_type.as_str()).collect();
    let tenants: Vec<&str> = each().map(|e| e.tenant.as_str()).collect();
    let entities: Vec<&str> = each().map(|e| e.entity.as_str()).collect();
    let data: Vec<&str> = each().map(|e| e.data.as_str()).collect();
    let targets: Vec<String> = each().map(|e| e.target.to_string()).collect();
    let keys: Vec<Option<&str>> = each()
        .map(|e| e.partition_key.as_ref().map(PartitionKey::as_str))
        .collect();
    let versions: Vec<&str> = each().map(|e| e.version.as_str()).collect();
    let by: Vec<&str> = each().map(|e| e.published_by.as_str()).collect();
    let metadata: Vec<&str> = each().map(|e| e.metadata.as_str()).collect();
    let moments: Vec<Option<&str>> = each().map(|e| e.timestamp.as_deref()).collect();
    let added = tx
        .execute(
            &insert,
            &[
                &stream.as_str(),
                &ids,
                &types,
                &tenants,
                &entities,
                &data,
                &targets,
                &keys,
                &versions,
                &by,
                &metadata,
                &moments,
            ],
        )
        .await
        .map_err(failed)?;
    Ok(Inserted {
        added,
        repeated: events.len() as u64 - added,
    })
}

/// Locks keys in their order, so that two processes never wait for each other. The trigger finds them
/// locked.
async fn lock(
    tx: &tokio_postgres::Transaction<'_>,
    prefix: &Prefix,
    keys: BTreeSet<(&str, &str)>,
) -> Result<(), Error> {
    let lock = prefix.sql(
        "INSERT INTO ~millstream_keys AS k (tenant_id, partition_key, version)
         SELECT n.tenant, n.key, 0
         FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS n (tenant, key, place)
         ORDER BY n.place
         ON CONFLICT (tenant_id, partition_key) DO UPDATE SET version = k.version",
    );
    let (tenants, keys): (Vec<&str>, Vec<&str>) = keys.into_iter().unzip();
    tx.execute(&lock, &[&tenants, &keys])
        .await
        .map(drop)
        .map_err(while_doing("lock the keys of events"))
}

fn id_of(event: &NewEvent) -> EventId {
    event.id.clone().unwrap_or_else(|| {
        EventId::new(Uuid::now_v7().to_string()).expect("a UUID is a valid event id")
    })
}

fn key_of(event: &NewEvent) -> (&str, &str) {
    let key = event.partition_key.as_ref();
    let key = key.map_or(event.entity.as_str(), PartitionKey::as_str);
    (event.tenant.as_str(), key)
}
