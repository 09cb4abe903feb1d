//! The fields of an entry, sorted by name in one pass, and what can be made of each.

use bytes::Bytes;

use super::{field, json};
use crate::delivery::{Reason, Undecodable};
use crate::entry::Fields;
use crate::event::{Event, Json, Targets};
use crate::limits::ID_BYTES_MAX;
use crate::name::{self, AppName, EventId, PartitionKey, TenantId};

/// One slot for each known field. The first of several fields of one name counts.
#[derive(Default)]
pub(super) struct Slots<'a> {
    pub(super) event_id: Option<&'a Bytes>,
    pub(super) event_type: Option<&'a Bytes>,
    pub(super) version: Option<&'a Bytes>,
    pub(super) source: Option<&'a Bytes>,
    pub(super) target: Option<&'a Bytes>,
    pub(super) tenant: Option<&'a Bytes>,
    pub(super) entity: Option<&'a Bytes>,
    pub(super) timestamp: Option<&'a Bytes>,
    pub(super) published_by: Option<&'a Bytes>,
    pub(super) data: Option<&'a Bytes>,
    pub(super) metadata: Option<&'a Bytes>,
    pub(super) wire: Option<&'a Bytes>,
    pub(super) partition_key: Option<&'a Bytes>,
    pub(super) entity_version: Option<&'a Bytes>,
    pub(super) generation: Option<&'a Bytes>,
    pub(super) seq: Option<&'a Bytes>,
    pub(super) prev: Option<&'a Bytes>,
    pub(super) unknown: Vec<(&'a Bytes, &'a Bytes)>,
}

impl<'a> Slots<'a> {
    pub(super) fn of(fields: &'a Fields) -> Self {
        let mut slots = Self::default();
        for (name, value) in fields.iter() {
            let slot = match std::str::from_utf8(name).unwrap_or_default() {
                field::EVENT_ID => &mut slots.event_id,
                field::EVENT_TYPE => &mut slots.event_type,
                field::VERSION => &mut slots.version,
                field::SOURCE => &mut slots.source,
                field::TARGET => &mut slots.target,
                field::TENANT => &mut slots.tenant,
                field::ENTITY => &mut slots.entity,
                field::TIMESTAMP => &mut slots.timestamp,
                field::PUBLISHED_BY => &mut slots.published_by,
                field::DATA => &mut slots.data,
                field::METADATA => &mut slots.metadata,
                field::WIRE => &mut slots.wire,
                field::PARTITION_KEY => &mut slots.partition_key,
                field::ENTITY_VERSION => &mut slots.entity_version,
                field::GENERATION => &mut slots.generation,
                field::SEQ => &mut slots.seq,
                field::PREV => &mut slots.prev,
                _ => {
                    slots.unknown.push((name, value));
                    continue;
                }
            };
            slot.get_or_insert(value);
        }
        slots
    }

    /// The same for the shared stream, where nobody says what stays in order but the entity.
    pub(super) fn of_shared(fields: &'a Fields) -> Self {
        Self {
            partition_key: None,
            ..Self::of(fields)
        }
    }

    /// Makes the event of slots in which nothing is missing.
    pub(super) fn event(&self) -> Result<Event, String> {
        let target = required(field::TARGET, self.target)?;
        Ok(Event {
            id: named(field::EVENT_ID, self.event_id, EventId::new)?,
            event_type: named(field::EVENT_TYPE, self.event_type, name::EventType::new)?,
            version: short(field::VERSION, self.version)?,
            source: named(field::SOURCE, self.source, AppName::new)?,
            target: Targets::parse(utf8(field::TARGET, target)?)
                .map_err(|e| name_reason(field::TARGET, &e))?,
            tenant: named(field::TENANT, self.tenant, TenantId::new)?,
            entity: named(field::ENTITY, self.entity, name::EntityId::new)?,
            timestamp: short(field::TIMESTAMP, self.timestamp)?,
            published_by: short(field::PUBLISHED_BY, self.published_by)?,
            data: document(field::DATA, self.data)?,
            metadata: document(field::METADATA, self.metadata)?,
            unknown: self
                .unknown
                .iter()
                .map(|&(name, value)| (String::from_utf8_lossy(name).into_owned(), value.clone()))
                .collect(),
        })
    }

    /// Keeps what could be read of an entry that is no event.
    pub(super) fn undecodable(&self, reason: String) -> Undecodable {
        Undecodable {
            reason: Reason::new(reason),
            id: readable(self.event_id).and_then(|text| EventId::new(text).ok()),
            event_type: readable(self.event_type)
                .filter(|t| is_short(t))
                .map(str::to_owned),
            tenant: readable(self.tenant).and_then(|text| TenantId::new(text).ok()),
            key: readable(self.partition_key.or(self.entity))
                .and_then(|text| PartitionKey::new(text).ok()),
            source: readable(self.source)
                .filter(|t| is_short(t))
                .map(str::to_owned),
        }
    }
}

pub(super) fn required<'a>(name: &str, slot: Option<&'a Bytes>) -> Result<&'a Bytes, String> {
    slot.ok_or_else(|| format!("field {name} is missing"))
}

pub(super) fn utf8<'a>(name: &str, bytes: &'a [u8]) -> Result<&'a str, String> {
    std::str::from_utf8(bytes)
        .map_err(|e| format!("field {name} is not UTF-8 from byte {} on", e.valid_up_to()))
}

/// A name or an id.
pub(super) fn named<'a, T>(
    name: &str,
    slot: Option<&'a Bytes>,
    new: impl FnOnce(&'a str) -> Result<T, name::Error>,
) -> Result<T, String> {
    new(utf8(name, required(name, slot)?)?).map_err(|e| name_reason(name, &e))
}

/// A whole number.
pub(super) fn number(name: &str, slot: Option<&Bytes>) -> Result<u64, String> {
    let text = utf8(name, required(name, slot)?)?;
    text.parse()
        .map_err(|_| format!("field {name} is not a whole number"))
}

/// Free text that ends in a column of ours, and so has the bounds of an id; it may be empty.
fn short(name: &str, slot: Option<&Bytes>) -> Result<String, String> {
    let text = utf8(name, required(name, slot)?)?;
    if is_short(text) {
        Ok(text.to_owned())
    } else if text.len() > ID_BYTES_MAX {
        Err(format!(
            "field {name} has {} bytes, at most {ID_BYTES_MAX} are allowed",
            text.len()
        ))
    } else {
        Err(format!("field {name} contains NUL"))
    }
}

fn is_short(text: &str) -> bool {
    text.len() <= ID_BYTES_MAX && !text.contains('\0')
}

fn document(name: &str, slot: Option<&Bytes>) -> Result<Json, String> {
    let text = required(name, slot)?;
    json::check(text).map_err(|e| format!("field {name} {e}"))?;
    Ok(Json::new_checked(text.clone()))
}

fn readable(slot: Option<&Bytes>) -> Option<&str> {
    std::str::from_utf8(slot?).ok()
}

/// As the error says, but without the character that it names: that is a part of the value.
fn name_reason(field: &str, error: &name::Error) -> String {
    match error {
        name::Error::Empty { what } => format!("field {field} holds an empty {what}"),
        name::Error::TooLong { bytes, max, what } => {
            format!(
                "field {field} is too long: {what} has {bytes} bytes, at most {max} are allowed"
            )
        }
        name::Error::Character { what, allowed, .. } => {
            format!("field {field} is not valid as {what}: allowed are {allowed}")
        }
    }
}
