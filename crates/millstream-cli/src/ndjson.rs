//! Events from a file: one JSON object a line, plain or gzip.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use anyhow::Context;
use flate2::bufread::MultiGzDecoder;
use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use millstream::core::name::{AppName, EntityId, EventId, EventType, PartitionKey, TenantId};
use millstream::{Json, NewEvent, Targets};

/// Bytes of one line: an event of the largest size, and room for its escapes.
const LINE_BYTES_MAX: u64 = 2 * 1024 * 1024;

/// Lines without an id of their own in one file. Each is remembered by 16 bytes, so that equal lines
/// are told apart.
const LINES_WITHOUT_ID_MAX: usize = 5_000_000;

/// A line as it is written.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Line<'a> {
    event_id: Option<String>,
    event_type: String,
    tenant_id: String,
    entity_id: String,
    #[serde(borrow)]
    event_data: &'a RawValue,
    source_application: Option<String>,
    target_application: Option<String>,
    partition_key: Option<String>,
    version: Option<String>,
    published_by: Option<String>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
    #[serde(alias = "timestamp")]
    occurred_at: Option<String>,
}

/// Reads events line by line; memory does not grow with the length of a file whose events have ids.
pub(crate) struct Reader {
    lines: Box<dyn BufRead + Send>,
    number: u64,
    seen: HashMap<u128, u32>,
    buffer: Vec<u8>,
}

/// What is wrong with a line.
#[derive(Debug)]
pub(crate) struct LineError {
    pub(crate) line: u64,
    pub(crate) reason: anyhow::Error,
}

impl Reader {
    /// Opens a file, or stdin for `-`. Gzip is recognized by its first bytes.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let raw: Box<dyn Read + Send> = if path == Path::new("-") {
            Box::new(io::stdin())
        } else {
            let file =
                File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
            Box::new(file)
        };
        let mut raw = BufReader::with_capacity(128 * 1024, raw);
        let gzip = raw
            .fill_buf()
            .with_context(|| format!("cannot read {}", path.display()))?
            .starts_with(&[0x1f, 0x8b]);
        let lines: Box<dyn BufRead + Send> = if gzip {
            Box::new(BufReader::with_capacity(
                128 * 1024,
                MultiGzDecoder::new(raw),
            ))
        } else {
            Box::new(raw)
        };
        Ok(Self {
            lines,
            number: 0,
            seen: HashMap::new(),
            buffer: Vec::new(),
        })
    }

    /// The next event and its line, leaving out empty lines; none at the end.
    pub(crate) fn next(&mut self) -> Result<Option<NewEvent>, LineError> {
        loop {
            self.buffer.clear();
            self.number += 1;
            let read = (&mut self.lines)
                .take(LINE_BYTES_MAX + 1)
                .read_until(b'\n', &mut self.buffer)
                .map_err(|error| self.error(error.into()))?;
            if read == 0 {
                return Ok(None);
            }
            if self.buffer.len() as u64 > LINE_BYTES_MAX {
                return Err(self.error(anyhow::anyhow!("it has more than {LINE_BYTES_MAX} bytes")));
            }
            while self
                .buffer
                .last()
                .is_some_and(|byte| matches!(byte, b'\n' | b'\r'))
            {
                self.buffer.pop();
            }
            if self.buffer.iter().any(|byte| !byte.is_ascii_whitespace()) {
                let event = parse(&self.buffer, &mut self.seen);
                return event.map(Some).map_err(|reason| self.error(reason));
            }
        }
    }

    /// The number of the line that was read last, from 1.
    pub(crate) fn line(&self) -> u64 {
        self.number
    }

    fn error(&self, reason: anyhow::Error) -> LineError {
        LineError {
            line: self.number,
            reason,
        }
    }
}

fn parse(bytes: &[u8], seen: &mut HashMap<u128, u32>) -> anyhow::Result<NewEvent> {
    let text = std::str::from_utf8(bytes).context("it is not UTF-8")?;
    let line: Line<'_> = serde_json::from_str(text).map_err(without_value)?;
    let mut event = NewEvent::new(
        EventType::new(line.event_type).context("eventType")?,
        TenantId::new(line.tenant_id).context("tenantId")?,
        EntityId::new(line.entity_id).context("entityId")?,
        Json::parse(line.event_data.get().to_owned()).context("eventData")?,
    );
    event.source = line
        .source_application
        .map(AppName::new)
        .transpose()
        .context("sourceApplication")?;
    if let Some(target) = line.target_application {
        event.target = Targets::parse(&target).context("targetApplication")?;
    }
    event.partition_key = line
        .partition_key
        .map(PartitionKey::new)
        .transpose()
        .context("partitionKey")?;
    if let Some(metadata) = line.metadata {
        event.metadata = Json::parse(metadata.get().to_owned()).context("metadata")?;
    }
    event.version = line.version.unwrap_or(event.version);
    event.published_by = line.published_by.unwrap_or(event.published_by);
    event.timestamp = line.occurred_at;
    event.id = Some(match line.event_id {
        Some(id) => EventId::new(id).context("eventId")?,
        None => id_of(bytes, event.source.as_ref(), seen)?,
    });
    Ok(event)
}

/// UUIDv5 of source, the line's bytes, and how many equal lines came before: the same file gives the
/// same ids, so that publishing it again adds only what is missing.
fn id_of(
    line: &[u8],
    source: Option<&AppName>,
    seen: &mut HashMap<u128, u32>,
) -> anyhow::Result<EventId> {
    let source = source.map_or("", AppName::as_str);
    let namespace = Uuid::new_v5(
        &Uuid::NAMESPACE_OID,
        format!("millstream:{source}").as_bytes(),
    );
    let first = Uuid::new_v5(&namespace, line);
    if seen.len() >= LINES_WITHOUT_ID_MAX && !seen.contains_key(&first.as_u128()) {
        anyhow::bail!(
            "more than {LINES_WITHOUT_ID_MAX} lines have no eventId; give them ids or split the file"
        );
    }
    let before = seen.entry(first.as_u128()).or_default();
    let id = match *before {
        0 => first,
        n => Uuid::new_v5(&first, &n.to_be_bytes()),
    };
    *before += 1;
    Ok(EventId::new(id.to_string())?)
}

/// The parser's message, which may quote what it found, cut down to what is wrong and where.
fn without_value(error: serde_json::Error) -> anyhow::Error {
    let text = error.to_string();
    let what = match error.classify() {
        serde_json::error::Category::Data => text
            .split_once(", expected")
            .filter(|_| text.starts_with("invalid"))
            .map_or(text.clone(), |(_, expected)| format!("expected{expected}")),
        _ => text,
    };
    anyhow::anyhow!("{what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Result<NewEvent, (u64, String)>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.ndjson");
        std::fs::write(&path, text).unwrap();
        let mut reader = Reader::open(&path).unwrap();
        let mut events = Vec::new();
        loop {
            match reader.next() {
                Ok(None) => return events,
                Ok(Some(event)) => events.push(Ok(event)),
                Err(error) => events.push(Err((error.line, format!("{:#}", error.reason)))),
            }
        }
    }

    const LINE: &str = r#"{"occurredAt":"1985-02-02T00:00:00Z","eventType":"user.created","sourceApplication":"crm","tenantId":"acme","entityId":"7","eventData":{"a":1}}"#;

    #[test]
    fn equal_lines_are_different_events_with_ids_that_last() {
        let text = format!("{LINE}\n\n{LINE}\r\n{}\n", LINE.replace("\"7\"", "\"8\""));
        let ids = |events: Vec<Result<NewEvent, _>>| -> Vec<EventId> {
            events
                .into_iter()
                .map(|event: Result<_, (u64, String)>| event.unwrap().id.unwrap())
                .collect()
        };
        let first = ids(read(&text));
        assert_eq!(first.len(), 3);
        assert_ne!(first[0], first[1]);
        assert_eq!(ids(read(&text)), first);
    }

    #[test]
    fn a_broken_line_is_named_and_not_quoted() {
        let text = format!(
            "{LINE}\n{{\"eventType\": \"secret\n{}\n",
            LINE.replace("\"acme\"", "[\"secret\"]")
        );
        let events = read(&text);
        assert!(events[0].is_ok());
        for (event, line) in events[1..].iter().zip(2..) {
            let (found, reason) = event.as_ref().unwrap_err();
            assert_eq!(*found, line);
            assert!(!reason.contains("secret"), "{reason}");
        }
    }

    #[test]
    fn the_target_defaults_to_all() {
        let events = read(LINE);
        let event = events[0].as_ref().unwrap();
        assert_eq!(event.target, Targets::All);
        assert_eq!(event.timestamp.as_deref(), Some("1985-02-02T00:00:00Z"));
    }
}
