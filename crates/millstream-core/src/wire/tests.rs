//! What is written, what is read, and what is refused.

mod dialects;
mod hostile;
mod owned;
mod shared;

use bytes::Bytes;

use super::*;
use crate::delivery::{Decoded, Undecodable};
use crate::entry::{Entry, EntryId, Fields, Shard};
use crate::lease::Feed;
use crate::name::{AppName, StreamName};

fn app(name: &str) -> AppName {
    AppName::new(name).unwrap()
}

fn owned_feed() -> Feed {
    let stream = StreamName::new("inter-app-events").unwrap();
    Feed::Owned(Shard {
        stream,
        owner: app("crm"),
        number: 0,
    })
}

fn shared_feed() -> Feed {
    Feed::Shared(StreamName::new("inter-app-events").unwrap())
}

fn fields<'a>(list: impl IntoIterator<Item = (&'a str, &'a str)>) -> Fields {
    list.into_iter()
        .map(|(name, value)| (own(name), own(value)))
        .collect()
}

fn own(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// 2024-01-01T00:00:00.000Z, as a transport numbers entries.
const AT: EntryId = EntryId::new(1_704_067_200_000, 0);

fn decode_shared(fields: Fields) -> Result<Decoded, Undecodable> {
    decode(&shared_feed(), &Entry { id: AT, fields })
}

/// The event in the words of the wire; defaults are left out.
fn show(decoded: &Decoded) -> String {
    let Decoded { event, sequence } = decoded;
    let target = event.target.to_string();
    let lines = [
        ("id", event.id.as_str(), ""),
        ("type", event.event_type.as_str(), ""),
        ("version", &event.version, "1.0"),
        ("source", event.source.as_str(), SOURCE_DEFAULT),
        ("target", &target, "*"),
        ("tenant", event.tenant.as_str(), ""),
        ("entity", event.entity.as_str(), ""),
        ("timestamp", &event.timestamp, "2024-01-01T00:00:00.000Z"),
        ("by", &event.published_by, "system"),
        ("data", event.data.as_str(), ""),
        ("metadata", event.metadata.as_str(), "{}"),
        (
            "key",
            sequence.partition_key.as_str(),
            event.entity.as_str(),
        ),
    ];
    let mut lines: Vec<String> = lines
        .iter()
        .filter(|(_, value, default)| value != default)
        .map(|(name, value, _)| format!("{name}: {value}"))
        .collect();
    if !event.unknown.is_empty() {
        let names: Vec<&str> = event
            .unknown
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        lines.push(format!("unknown: {}", names.join(" ")));
    }
    lines.join("\n")
}

#[track_caller]
fn check_shared<'a>(list: impl IntoIterator<Item = (&'a str, &'a str)>, expected: &str) {
    let decoded = decode_shared(fields(list)).unwrap();
    let expected: Vec<&str> = expected.trim().lines().map(str::trim).collect();
    assert_eq!(show(&decoded), expected.join("\n"));
}
