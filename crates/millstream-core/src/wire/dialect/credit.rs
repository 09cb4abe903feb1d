//! The origin's `credit-events`: what an event says stands beside its envelope.

use bytes::Bytes;

use super::draft::Draft;
use crate::wire::field;

/// The envelope; all other fields become event data.
const ENVELOPE: [&str; 17] = [
    field::EVENT_ID,
    field::EVENT_TYPE,
    field::VERSION,
    field::SOURCE,
    field::TARGET,
    field::TENANT,
    field::ENTITY,
    field::TIMESTAMP,
    field::PUBLISHED_BY,
    field::METADATA,
    field::WIRE,
    field::PARTITION_KEY,
    field::ENTITY_VERSION,
    field::GENERATION,
    field::SEQ,
    field::PREV,
    "source",
];

pub(super) fn fits(draft: &Draft) -> bool {
    draft.has("amount") || draft.has("operationType")
}

pub(super) fn translate(draft: &mut Draft) -> Result<(), String> {
    let members = draft.split_off(|name| !ENVELOPE.iter().any(|known| known.as_bytes() == name));
    draft.put(field::DATA, object_of(&members)?.into());
    Ok(())
}

/// Writes fields as an object of texts; an amount that is a number stays one, digit for digit.
fn object_of(members: &[(Bytes, Bytes)]) -> Result<String, String> {
    let mut json = String::from("{");
    // The last of a name counts in JSON, the first in a list of fields.
    for (name, value) in members.iter().rev() {
        let (Ok(name), Ok(value)) = (std::str::from_utf8(name), std::str::from_utf8(value)) else {
            return Err("a field beside the envelope is not UTF-8".into());
        };
        if json.len() > 1 {
            json.push(',');
        }
        json.push_str(&serde_json::Value::from(name).to_string());
        json.push(':');
        if name == "amount" && is_number(value) {
            json.push_str(value);
        } else {
            json.push_str(&serde_json::Value::from(value).to_string());
        }
    }
    json.push('}');
    Ok(json)
}

fn is_number(text: &str) -> bool {
    text.starts_with(|c: char| c == '-' || c.is_ascii_digit())
        && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
        && !text.ends_with(|c: char| c.is_ascii_whitespace())
}
