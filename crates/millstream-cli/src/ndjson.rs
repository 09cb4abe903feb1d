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

/// The members of a line, as messages name them.
const MEMBERS: [&str; 12] = [
    "eventId",
    "eventType",
    "tenantId",
    "entityId",
    "eventData",
    "sourceApplication",
    "targetApplication",
    "partitionKey",
    "version",
    "publishedBy",
    "metadata",
    "occurredAt",
];

/// The longest unknown member that is shown: what is longer is rather a value in the wrong place.
const UNKNOWN_BYTES_MAX: usize = 40;

/// Reads events line by line; memory does not grow with the length of a file whose events have ids.
///
/// A line without an id gets one that follows from its source, its bytes, and the number of equal
/// lines before it: the same file gives the same ids. Its source is the application that it names,
/// else the one that publishes. Naming that one changes the line's bytes, and so its id.
pub(crate) struct Reader {
    publisher: AppName,
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
    /// Opens a file, or stdin for `-`, of what `publisher` publishes. Gzip is recognized by its first
    /// bytes.
    pub(crate) fn open(path: &Path, publisher: &AppName) -> anyhow::Result<Self> {
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
            publisher: publisher.clone(),
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
                let event = parse(&self.buffer, &self.publisher, &mut self.seen);
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

fn parse(
    bytes: &[u8],
    publisher: &AppName,
    seen: &mut HashMap<u128, u32>,
) -> anyhow::Result<NewEvent> {
    let text = std::str::from_utf8(bytes).context("it is not UTF-8")?;
    // Serde would also take an array, and its elements for the members in their order.
    if !text.trim_start().starts_with('{') {
        anyhow::bail!("it is not a JSON object");
    }
    let line: Line<'_> = serde_json::from_str(text).map_err(|error| without_value(&error))?;
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
        None => id_of(bytes, event.source.as_ref().unwrap_or(publisher), seen)?,
    });
    Ok(event)
}

/// UUIDv5 of source, the line's bytes, and how many equal lines came before: the same file gives the
/// same ids, so that publishing it again adds only what is missing.
fn id_of(line: &[u8], source: &AppName, seen: &mut HashMap<u128, u32>) -> anyhow::Result<EventId> {
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

/// What is wrong and where, of the parser's message only what cannot come from the line.
fn without_value(error: &serde_json::Error) -> anyhow::Error {
    use serde_json::error::Category;

    let column = error.column();
    match error.classify() {
        Category::Data => anyhow::anyhow!("{} at column {column}", misfit(&error.to_string())),
        Category::Eof => anyhow::anyhow!("it ends in the middle of its JSON, at column {column}"),
        Category::Syntax | Category::Io => {
            anyhow::anyhow!("it is not valid JSON at column {column}")
        }
    }
}

/// What serde found where JSON was fine, in words of our own: its message may quote the line.
fn misfit(message: &str) -> String {
    let quoted = |what: &str| message.strip_prefix(what)?.strip_prefix(" field `");
    let ours = |rest: &str| {
        MEMBERS
            .into_iter()
            .find(|name| rest.starts_with(&format!("{name}`")))
    };
    if let Some(member) = quoted("missing").and_then(ours) {
        return format!("missing field `{member}`");
    }
    if let Some(member) = quoted("duplicate").and_then(ours) {
        return format!("field `{member}` is there twice");
    }
    if let Some(rest) = quoted("unknown") {
        // Serde's own list comes last, so a name that looks like it is cut at the real one.
        let name = rest
            .rsplit_once("`, expected one of ")
            .map(|(name, _)| name);
        return match name.filter(|name| is_identifier(name)) {
            Some(name) => format!("unknown field `{name}`"),
            None => "unknown field".into(),
        };
    }
    if message.starts_with("invalid type: ") {
        let expected = message
            .rsplit_once(", expected ")
            .map(|(_, expected)| expected);
        return match expected {
            Some(expected) if expected.starts_with("a string") => "expected a string".into(),
            _ => "something of another type is expected".into(),
        };
    }
    "it is not an event".into()
}

fn is_identifier(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=UNKNOWN_BYTES_MAX).contains(&name.len()) && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Result<NewEvent, (u64, String)>> {
        read_as("crm", text)
    }

    fn read_as(publisher: &str, text: &str) -> Vec<Result<NewEvent, (u64, String)>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.ndjson");
        std::fs::write(&path, text).unwrap();
        let mut reader = Reader::open(&path, &AppName::new(publisher).unwrap()).unwrap();
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
    fn the_source_is_part_of_the_id_whether_a_line_names_it_or_not() {
        let plain = LINE.replace(r#""sourceApplication":"crm","#, "");
        let id = |publisher: &str, line: &str| {
            let events = read_as(publisher, line);
            events[0].as_ref().unwrap().id.clone().unwrap()
        };
        let expected = |source: &str, line: &str| {
            let name = format!("millstream:{source}");
            let namespace = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes());
            let id = Uuid::new_v5(&namespace, line.as_bytes());
            EventId::new(id.to_string()).unwrap()
        };
        assert_eq!(id("crm", &plain), expected("crm", &plain));
        assert_eq!(id("hr", &plain), expected("hr", &plain));
        assert_eq!(id("hr", LINE), expected("crm", LINE));
        assert_eq!(id("crm", LINE), expected("crm", LINE));
    }

    #[test]
    fn messages_say_what_is_wrong_and_where() {
        let check = |line: &str, expected: &str| {
            let events = read(line);
            let (_, reason) = events[0].as_ref().unwrap_err();
            assert_eq!(reason, expected, "{line}");
        };
        check("{}", "missing field `eventType` at column 2");
        check(r#"{"eventType":7}"#, "expected a string at column 14");
        check(r#"{"tenant":7}"#, "unknown field `tenant` at column 9");
        check(
            r#"{"version":"1","version":"1"}"#,
            "field `version` is there twice at column 24",
        );
        check(r#"{"a b":7}"#, "unknown field at column 6");
        check(
            &format!(r#"{{"{}":7}}"#, "a".repeat(41)),
            "unknown field at column 44",
        );
        check("{", "it ends in the middle of its JSON, at column 1");
        check("{7}", "it is not valid JSON at column 2");
        check("[]", "it is not a JSON object");
        // A name that pretends to be the end of serde's message.
        check(
            r#"{"x`, expected one of `eventId`":7}"#,
            "unknown field at column 32",
        );
        check(
            r#"{"eventType":", expected a string hunter-2"} "#,
            "missing field `tenantId` at column 44",
        );
    }

    #[test]
    fn every_member_is_known_to_messages() {
        let error = serde_json::from_str::<Line<'_>>(r#"{"-":7}"#).unwrap_err();
        let message = error.to_string();
        let (_, list) = message.split_once(", expected one of ").unwrap();
        let listed = list.split('`').skip(1).step_by(2);
        let listed: Vec<&str> = listed.filter(|name| *name != "timestamp").collect();
        assert_eq!(listed, MEMBERS);
    }

    /// Puts secrets wherever a line can hold something, in every type that JSON has.
    #[test]
    fn no_message_quotes_a_secret() {
        let secrets = [
            r#""hunter-2""#,
            r#""`, expected a hunter-2""#,
            r#""x` at line 1 column 7 hunter-2""#,
            r#""hunter-2\u0000\"""#,
            r#"{"hunter-2":"hunter-2"}"#,
            r#"["hunter-2"]"#,
            r#"["hunter-2","#,
            r#""hunter-2"#,
            r#""hunter-2\q""#,
            "hunter-2",
            "4815162342",
            "-4815162342.4815162342",
            "4815162342e4815162342",
            "true4815162342",
        ];
        let mut lines = Vec::new();
        for secret in secrets {
            lines.extend([secret.to_owned(), format!("{LINE} {secret}")]);
            lines.push(format!("{{{secret}"));
            for member in MEMBERS.into_iter().chain(["timestamp", "another"]) {
                let alone = format!(r#"{{"{member}":{secret}}}"#);
                // Before the others, behind them, twice, and in their place.
                let rest = LINE.trim_start_matches('{');
                lines.push(format!(r#"{{"{member}":{secret},{rest}"#));
                let rest = LINE.trim_end_matches('}');
                lines.push(format!(r#"{rest}}},"{member}":{secret}}}"#));
                lines.push(format!(r#"{rest}}},{}"#, alone.trim_start_matches('{')));
                let mut object: serde_json::Map<String, serde_json::Value> =
                    serde_json::from_str(LINE).unwrap();
                object.remove(member);
                let rest = serde_json::to_string(&object).unwrap();
                lines.push(format!("{},{}", rest.trim_end_matches('}'), &alone[1..]));
                lines.push(format!("{}}},{}", rest.trim_end_matches('}'), &alone[1..]));
                lines.push(alone);
            }
            if secret.starts_with('"') {
                let rest = LINE.trim_start_matches('{');
                lines.push(format!("{{{secret}:7,{rest}"));
                lines.push(format!("{{{secret}:{secret}}}"));
            }
        }
        let mut failed = 0;
        for line in &lines {
            for (_, reason) in read(line).into_iter().filter_map(Result::err) {
                failed += 1;
                let quotes = ["hunter", "4815162342"].iter().any(|s| reason.contains(s));
                assert!(!quotes, "{line}: {reason}");
            }
        }
        assert!(failed > lines.len() / 2, "{failed} of {}", lines.len());
    }

    #[test]
    fn the_target_defaults_to_all() {
        let events = read(LINE);
        let event = events[0].as_ref().unwrap();
        assert_eq!(event.target, Targets::All);
        assert_eq!(event.timestamp.as_deref(), Some("1985-02-02T00:00:00Z"));
    }
}
