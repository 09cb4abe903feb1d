//! A place in an event.

use std::fmt;

/// What a path begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Root {
    EventId,
    EventType,
    Version,
    Source,
    Target,
    Tenant,
    Entity,
    Timestamp,
    PublishedBy,
    PartitionKey,
    Data,
    Metadata,
}

impl Root {
    /// All of them, under the names of the wire.
    pub(super) const ALL: [(&'static str, Self); 12] = [
        ("eventId", Self::EventId),
        ("eventType", Self::EventType),
        ("version", Self::Version),
        ("sourceApplication", Self::Source),
        ("targetApplication", Self::Target),
        ("tenantId", Self::Tenant),
        ("entityId", Self::Entity),
        ("timestamp", Self::Timestamp),
        ("publishedBy", Self::PublishedBy),
        ("partitionKey", Self::PartitionKey),
        ("data", Self::Data),
        ("metadata", Self::Metadata),
    ];

    pub(super) fn of(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(known, _)| *known == name)
            .map(|&(_, root)| root)
    }

    pub(super) fn name(self) -> &'static str {
        Self::ALL[self as usize].0
    }

    /// Their names, for a person to choose from.
    pub(super) fn list() -> String {
        let names: Vec<&str> = Self::ALL.iter().map(|&(name, _)| name).collect();
        names.join(", ")
    }

    /// Whether it is an object that a path may lead into.
    pub(super) fn is_object(self) -> bool {
        matches!(self, Self::Data | Self::Metadata)
    }
}

/// A root, and the way into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) root: Root,
    pub(super) segments: Box<[Box<str>]>,
}

/// Why a text is no path, and what may help.
#[derive(Debug)]
pub(super) struct ParsePathError {
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Path {
    pub(super) fn parse(text: &str) -> Result<Self, ParsePathError> {
        let mut parts = text.split('.');
        let first = parts.next().unwrap_or_default();
        let Some(root) = Root::of(first) else {
            return Err(ParsePathError {
                message: format!("`{text}` begins with `{first}`, which no event has"),
                help: Some(help(text, first)),
            });
        };
        let segments: Box<[Box<str>]> = parts.map(Box::from).collect();
        if segments.iter().any(|segment| segment.is_empty()) {
            return Err(ParsePathError {
                message: format!("`{text}` has an empty part between its dots"),
                help: None,
            });
        }
        if !segments.is_empty() && !root.is_object() {
            return Err(ParsePathError {
                message: format!("`{text}` leads into `{first}`, which is text"),
                help: Some("only `data` and `metadata` hold anything below them".into()),
            });
        }
        Ok(Self { root, segments })
    }
}

fn help(text: &str, first: &str) -> String {
    let roots = Root::list();
    match super::suggest::nearest(first, Root::ALL.iter().map(|&(name, _)| name)) {
        Some(near) => format!(
            "did you mean `{near}{}`? A path begins with one of: {roots}",
            { &text[first.len()..] }
        ),
        None => format!("did you mean `data.{text}`? A path begins with one of: {roots}"),
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.root.name())?;
        self.segments
            .iter()
            .try_for_each(|segment| write!(f, ".{segment}"))
    }
}
