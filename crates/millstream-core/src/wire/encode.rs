//! From an event to fields.

use bytes::Bytes;

use super::field;
use crate::entry::{Entry, Fields};
use crate::name::{AppName, EventId};
use crate::outbox::{NewEvent, OutboxRow};

/// Fields of an entry on an owned stream.
const OWNED_FIELDS: usize = 17;

/// Fields of an entry on the shared stream.
const SHARED_FIELDS: usize = 11;

/// Makes the entry of a numbered outbox row; its id is generation and seq.
///
/// Values are passed on byte for byte: a row that is no event becomes an entry that cannot be
/// decoded, so that its consumers see it and its place in the sequence is kept.
pub fn encode_owned(row: &OutboxRow, source: &AppName) -> Entry {
    let mut fields = Fields::with_capacity(OWNED_FIELDS);
    let mut push = |name: &'static str, value: Bytes| fields.push(name, value);
    push(field::EVENT_ID, row.event_id.clone());
    push(field::EVENT_TYPE, row.event_type.clone());
    push(field::VERSION, row.version.clone());
    push(field::SOURCE, text(source.as_str()));
    push(field::TARGET, row.target.clone());
    push(field::TENANT, row.tenant.clone());
    push(field::ENTITY, row.entity.clone());
    push(field::TIMESTAMP, row.timestamp.clone());
    push(field::PUBLISHED_BY, row.published_by.clone());
    push(field::DATA, row.data.clone());
    push(field::METADATA, row.metadata.clone());
    push(field::WIRE, Bytes::from_static(super::VERSION.as_bytes()));
    push(field::PARTITION_KEY, row.partition_key.clone());
    push(field::ENTITY_VERSION, row.entity_version.to_string().into());
    push(field::GENERATION, row.at.high.to_string().into());
    push(field::SEQ, row.at.low.to_string().into());
    if let Some(prev) = &row.prev {
        push(field::PREV, prev.clone());
    }
    Entry { id: row.at, fields }
}

/// Makes the fields of an event for the shared stream, which gives the entry its id.
///
/// `source` and `timestamp` count where the event names none of its own.
pub fn encode_shared(event: &NewEvent, id: &EventId, source: &AppName, timestamp: &str) -> Fields {
    let mut fields = Fields::with_capacity(SHARED_FIELDS);
    let source = event.source.as_ref().unwrap_or(source);
    fields.push(field::EVENT_ID, text(id.as_str()));
    fields.push(field::EVENT_TYPE, text(event.event_type.as_str()));
    fields.push(field::VERSION, text(&event.version));
    fields.push(field::SOURCE, text(source.as_str()));
    fields.push(field::TARGET, event.target.to_string());
    fields.push(field::TENANT, text(event.tenant.as_str()));
    fields.push(field::ENTITY, text(event.entity.as_str()));
    fields.push(
        field::TIMESTAMP,
        text(event.timestamp.as_deref().unwrap_or(timestamp)),
    );
    fields.push(field::PUBLISHED_BY, text(&event.published_by));
    fields.push(field::DATA, event.data.as_bytes().clone());
    fields.push(field::METADATA, event.metadata.as_bytes().clone());
    fields
}

fn text(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}
