//! Entries of the shared stream: what anybody wrote, with what is missing filled in.

use bytes::Bytes;
use uuid::Uuid;

use super::decode::check_limits;
use super::dialect;
use super::slots::Slots;
use crate::clock::Timestamp;
use crate::delivery::{Decoded, Undecodable};
use crate::entry::{Entry, EntryId};
use crate::event::{PUBLISHED_BY_DEFAULT, Sequence, VERSION_DEFAULT};
use crate::name::{PartitionKey, StreamName};

/// The source of an event on the shared stream whose publisher names none.
pub const SOURCE_DEFAULT: &str = "unknown";

/// The namespace of event ids that follow from an entry. Part of the wire: never changes.
const ENTRY_NAMESPACE: Uuid = Uuid::from_u128(0x6d69_6c6c_7374_4265_8d77_6972_6531_0001);

pub(super) fn decode(stream: &StreamName, entry: &Entry) -> Result<Decoded, Undecodable> {
    let slots = Slots::of_shared(&entry.fields);
    // The plain form is by far the most frequent, and needs no translation.
    if slots.data.is_some() && slots.source.is_some() {
        return complete(stream, entry, slots);
    }
    match dialect::translate(&entry.fields) {
        Ok(fields) => match check_limits(&fields) {
            Ok(()) => complete(stream, entry, Slots::of_shared(&fields)),
            Err(reason) => Err(Slots::of_shared(&fields).undecodable(reason)),
        },
        Err(reason) => Err(slots.undecodable(reason)),
    }
}

fn complete(stream: &StreamName, entry: &Entry, slots: Slots<'_>) -> Result<Decoded, Undecodable> {
    let id = match slots.event_id {
        Some(id) => id.clone(),
        None => derived_id(stream, entry).to_string().into(),
    };
    let timestamp = match slots.timestamp {
        Some(timestamp) => timestamp.clone(),
        None => time_of(entry.id).to_string().into(),
    };
    let all = Bytes::from_static(b"*");
    let version = Bytes::from_static(VERSION_DEFAULT.as_bytes());
    let published_by = Bytes::from_static(PUBLISHED_BY_DEFAULT.as_bytes());
    let source = Bytes::from_static(SOURCE_DEFAULT.as_bytes());
    let metadata = Bytes::from_static(b"{}");
    let slots = Slots {
        event_id: Some(&id),
        timestamp: Some(&timestamp),
        target: slots.target.or(Some(&all)),
        version: slots.version.or(Some(&version)),
        published_by: slots.published_by.or(Some(&published_by)),
        source: slots.source.or(Some(&source)),
        metadata: slots.metadata.or(Some(&metadata)),
        ..slots
    };
    let event = slots.event().map_err(|reason| slots.undecodable(reason))?;
    let sequence = Sequence {
        partition_key: PartitionKey::new(event.entity.as_str())
            .expect("an entity id is a valid partition key"),
        entity_version: None,
        prev: None,
    };
    Ok(Decoded { event, sequence })
}

/// The time that a transport gave the entry.
fn time_of(id: EntryId) -> Timestamp {
    Timestamp::from_millis(i64::try_from(id.high).unwrap_or(i64::MAX))
}

/// The id of an event whose publisher gave it none: the same entry, the same id.
fn derived_id(stream: &StreamName, entry: &Entry) -> Uuid {
    let mut bytes = Vec::with_capacity(entry.fields.byte_len() + 16 * entry.fields.len() + 64);
    // Lengths keep two different lists from giving the same bytes.
    let mut part = |part: &[u8]| {
        bytes.extend_from_slice(part.len().to_string().as_bytes());
        bytes.push(b':');
        bytes.extend_from_slice(part);
    };
    part(stream.as_str().as_bytes());
    part(entry.id.to_string().as_bytes());
    for (name, value) in entry.fields.iter() {
        part(name);
        part(value);
    }
    Uuid::new_v5(&ENTRY_NAMESPACE, &bytes)
}
