//! An event as mappings look at it: parsed as far as they ask, and once.

use std::borrow::Cow;
use std::cell::OnceCell;

use serde_json::value::RawValue;

use super::coerce::Input;
use super::path::{Path, Root};
use crate::delivery::Decoded;
use crate::event::Json;
use crate::wire::json::Members;

/// What cannot be looked at.
pub(super) const NOT_UNICODE: &str = "text that is not valid Unicode";

/// One event, for the time of one plan.
pub(super) struct View<'a> {
    decoded: &'a Decoded,
    data: Document<'a>,
    metadata: Document<'a>,
}

/// A JSON object, with its members and its CEL value as soon as somebody asks.
struct Document<'a> {
    text: &'a Json,
    members: OnceCell<Option<Members<'a>>>,
    value: OnceCell<Option<cel::Value>>,
}

impl<'a> View<'a> {
    pub(super) fn new(decoded: &'a Decoded) -> Self {
        Self {
            decoded,
            data: Document::new(&decoded.event.data),
            metadata: Document::new(&decoded.event.metadata),
        }
    }

    /// The value at a path, if the event has one there.
    pub(super) fn read(&self, path: &Path) -> Result<Option<Input<'a>>, &'static str> {
        match path.root {
            Root::Data => self.data.read(&path.segments),
            Root::Metadata => self.metadata.read(&path.segments),
            root => Ok(self.envelope(root).map(Input::Text)),
        }
    }

    /// The value of a variable in an expression.
    pub(super) fn variable(&self, root: Root) -> Result<cel::Value, &'static str> {
        match root {
            Root::Data => self.data.value(),
            Root::Metadata => self.metadata.value(),
            root => Ok(self.envelope(root).as_deref().unwrap_or_default().into()),
        }
    }

    fn envelope(&self, root: Root) -> Option<Cow<'a, str>> {
        let Decoded { event, sequence } = self.decoded;
        Some(Cow::Borrowed(match root {
            Root::EventId => event.id.as_str(),
            Root::EventType => event.event_type.as_str(),
            Root::Version => &event.version,
            Root::Source => event.source.as_str(),
            Root::Target => return Some(Cow::Owned(event.target.to_string())),
            Root::Tenant => event.tenant.as_str(),
            Root::Entity => event.entity.as_str(),
            Root::Timestamp => &event.timestamp,
            Root::PublishedBy => &event.published_by,
            Root::PartitionKey => sequence.partition_key.as_str(),
            Root::Data | Root::Metadata => return None,
        }))
    }
}

impl<'a> Document<'a> {
    fn new(text: &'a Json) -> Self {
        Self {
            text,
            members: OnceCell::new(),
            value: OnceCell::new(),
        }
    }

    fn read(&self, segments: &[Box<str>]) -> Result<Option<Input<'a>>, &'static str> {
        let Some((first, deeper)) = segments.split_first() else {
            return Input::from_json(self.text.as_str().trim_ascii()).map(Some);
        };
        let members = self.members.get_or_init(|| Members::of(self.text.as_str()));
        let Some(mut raw) = members.as_ref().ok_or(NOT_UNICODE)?.get(first) else {
            return Ok(None);
        };
        for segment in deeper {
            match child(raw, segment)? {
                Some(child) => raw = child,
                None => return Ok(None),
            }
        }
        Input::from_json(raw).map(Some)
    }

    fn value(&self) -> Result<cel::Value, &'static str> {
        self.value
            .get_or_init(|| {
                serde_json::from_str(self.text.as_str())
                    .ok()
                    .map(super::expression::from_json)
            })
            .clone()
            .ok_or(NOT_UNICODE)
    }
}

/// One step into a value: a member of an object, or an element of an array by its number.
fn child<'a>(raw: &'a str, segment: &str) -> Result<Option<&'a str>, &'static str> {
    match raw.as_bytes().first() {
        Some(b'{') => Ok(Members::of(raw).ok_or(NOT_UNICODE)?.get(segment)),
        Some(b'[') => {
            let Ok(index) = segment.parse::<usize>() else {
                return Ok(None);
            };
            let elements: Vec<&'a RawValue> = serde_json::from_str(raw).map_err(|_| NOT_UNICODE)?;
            Ok(elements.get(index).map(|element| element.get()))
        }
        _ => Ok(None),
    }
}
