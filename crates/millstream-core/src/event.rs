//! Something that happened in an application.

use std::fmt;

use bytes::Bytes;

use crate::limits::TARGETS_MAX;
use crate::name::{self, AppName, EntityId, EventId, EventType, PartitionKey, TenantId};

/// The schema version of an event whose publisher names none.
pub const VERSION_DEFAULT: &str = "1.0";

/// Who published an event when the publisher does not say.
pub const PUBLISHED_BY_DEFAULT: &str = "system";

/// An event as every part of Millstream knows it once it has been decoded.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    /// Its identity, made by the publisher.
    pub id: EventId,
    /// What happened.
    pub event_type: EventType,
    /// The version of its schema.
    pub version: String,
    /// The application in which it happened.
    pub source: AppName,
    /// The applications that it is for.
    pub target: Targets,
    /// The customer that it belongs to.
    pub tenant: TenantId,
    /// The entity that it is about.
    pub entity: EntityId,
    /// When it happened, as RFC 3339 text. For people only: nothing is ordered by it.
    pub timestamp: String,
    /// Who or what caused it.
    pub published_by: String,
    /// What it says: one JSON object, as the publisher wrote it.
    pub data: Json,
    /// What accompanies it: one JSON object, as the publisher wrote it.
    pub metadata: Json,
    /// Fields that this version of the wire does not know.
    pub unknown: Vec<(String, Bytes)>,
}

/// Shows names and sizes of unknown fields; values may hold what must not reach a log.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct Sizes<'a>(&'a [(String, Bytes)]);

        impl fmt::Debug for Sizes<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let sizes = self.0.iter().map(|(name, value)| (name, value.len()));
                f.debug_map().entries(sizes).finish()
            }
        }

        // Taken apart in full, so that no later field is forgotten.
        let Self {
            id,
            event_type,
            version,
            source,
            target,
            tenant,
            entity,
            timestamp,
            published_by,
            data,
            metadata,
            unknown,
        } = self;
        f.debug_struct("Event")
            .field("id", id)
            .field("event_type", event_type)
            .field("version", version)
            .field("source", source)
            .field("target", target)
            .field("tenant", tenant)
            .field("entity", entity)
            .field("timestamp", timestamp)
            .field("published_by", published_by)
            .field("data", data)
            .field("metadata", metadata)
            .field("unknown", &Sizes(unknown))
            .finish()
    }
}

/// The text of one JSON object, kept as it was written.
///
/// Whoever makes one has checked it; [`wire`](crate::wire) does so while decoding.
#[derive(Clone, PartialEq, Eq)]
pub struct Json(Bytes);

impl Json {
    /// Wraps a text that is known to be one JSON object in UTF-8.
    pub(crate) fn new_checked(text: Bytes) -> Self {
        debug_assert!(std::str::from_utf8(&text).is_ok());
        Self(text)
    }

    /// `{}`.
    pub fn empty() -> Self {
        Self(Bytes::from_static(b"{}"))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("only checked text is wrapped")
    }

    /// The bytes of the text.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }
}

/// Shows the size; the text may hold what must not reach a log.
impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Json({} bytes)", self.0.len())
    }
}

/// The applications that an event is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Targets {
    /// Every application that subscribes: `*`.
    All,
    /// The named ones.
    Only(Vec<AppName>),
}

impl Targets {
    /// Reads `*`, a name, or several names joined by commas.
    ///
    /// # Errors
    ///
    /// Fails when a name is not valid, or when there are more than [`TARGETS_MAX`].
    pub fn parse(text: &str) -> Result<Self, name::Error> {
        let mut names = Vec::new();
        for part in text.split(',').map(str::trim) {
            if part == "*" {
                return Ok(Self::All);
            }
            if names.len() == TARGETS_MAX {
                return Err(name::Error::TooLong {
                    what: "list of target applications",
                    bytes: text.len(),
                    max: TARGETS_MAX,
                });
            }
            names.push(AppName::new(part)?);
        }
        Ok(Self::Only(names))
    }

    /// Whether the application is meant.
    pub fn include(&self, app: &AppName) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(app),
        }
    }
}

impl fmt::Display for Targets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Only(names) => {
                for (i, name) in names.iter().enumerate() {
                    if i > 0 {
                        f.write_str(",")?;
                    }
                    f.write_str(name.as_str())?;
                }
                Ok(())
            }
        }
    }
}

/// Where an event stands in its owned stream, and behind what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    /// What must stay in order at the source.
    pub partition_key: PartitionKey,
    /// The how-manieth event of its key this is, where the source counts.
    pub entity_version: Option<u64>,
    /// The event before this one in the shard; none before the first of a generation.
    pub prev: Option<EventId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_in_a_log_shows_no_payload() {
        let event = Event {
            id: EventId::new("e-1").unwrap(),
            event_type: EventType::new("user.created").unwrap(),
            version: VERSION_DEFAULT.into(),
            source: AppName::new("crm").unwrap(),
            target: Targets::All,
            tenant: TenantId::new("acme").unwrap(),
            entity: EntityId::new("7").unwrap(),
            timestamp: "2026-01-01T00:00:00Z".into(),
            published_by: PUBLISHED_BY_DEFAULT.into(),
            data: Json::parse(r#"{"name":"hunter2"}"#).unwrap(),
            metadata: Json::parse(r#"{"token":"hunter2"}"#).unwrap(),
            unknown: vec![("traceId".into(), Bytes::from_static(b"hunter2"))],
        };
        let shown = format!("{event:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains(r#"id: "e-1""#), "{shown}");
        assert!(shown.contains("data: Json(18 bytes)"), "{shown}");
        assert!(shown.contains(r#"unknown: {"traceId": 7}"#), "{shown}");
    }
}
