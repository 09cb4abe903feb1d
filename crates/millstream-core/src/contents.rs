//! What an event says, as a number: two events that say different things under one id are told apart.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::value::RawValue;
use uuid::Uuid;

use crate::event::Event;
use crate::name::PartitionKey;

const NAMESPACE: Uuid = Uuid::from_u128(0x1f0c_a5b2_7c3e_5d64_9a8e_4b0d_6c2f_8e17);

/// 64 bits of a SHA-1 over type, entity, key and data of an event. Members of objects may stand in any
/// order, with any blanks between them.
///
/// Who sent it, when, to whom and what accompanies it may differ between two publications of one event,
/// and is not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentHash(i64);

impl ContentHash {
    /// Of an event with this key.
    pub fn of(event: &Event, key: &PartitionKey) -> Self {
        let mut text = Vec::with_capacity(event.data.as_bytes().len() + 64);
        for name in [
            event.event_type.as_str(),
            event.entity.as_str(),
            key.as_str(),
        ] {
            text.extend_from_slice(name.as_bytes());
            // None of them holds one.
            text.push(0);
        }
        canonical(event.data.as_str(), &mut text);
        let hash = Uuid::new_v5(&NAMESPACE, &text);
        let (high, _) = hash.as_u64_pair();
        Self(high.cast_signed())
    }

    /// As tables keep it.
    pub fn as_i64(self) -> i64 {
        self.0
    }

    /// As tables have kept it.
    pub fn from_i64(number: i64) -> Self {
        Self(number)
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Writes a JSON text so that equal values are equal bytes. Numbers stay as they were written.
fn canonical(json: &str, out: &mut Vec<u8>) {
    let json = json.trim_ascii();
    match json.as_bytes().first() {
        Some(b'{') => {
            if let Ok(members) = serde_json::from_str::<BTreeMap<String, &RawValue>>(json) {
                out.push(b'{');
                for (name, value) in members {
                    text(&name, out);
                    canonical(value.get(), out);
                }
                out.push(b'}');
                return;
            }
        }
        Some(b'[') => {
            if let Ok(elements) = serde_json::from_str::<Vec<&RawValue>>(json) {
                out.push(b'[');
                for element in elements {
                    canonical(element.get(), out);
                    out.push(b',');
                }
                out.push(b']');
                return;
            }
        }
        Some(b'"') => {
            if let Ok(decoded) = serde_json::from_str::<String>(json) {
                return text(&decoded, out);
            }
        }
        _ => {}
    }
    // A literal, or a text that no Unicode string can hold.
    out.extend_from_slice(json.as_bytes());
}

fn text(decoded: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(&decoded.len().to_be_bytes());
    out.extend_from_slice(decoded.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(json: &str) -> Vec<u8> {
        let mut out = Vec::new();
        canonical(json, &mut out);
        out
    }

    #[test]
    fn the_same_value_is_the_same_however_it_is_written() {
        let one = r#"{"name":"Zoë","ages":[1,2.50,{"a":null,"b":true}],"e":{}}"#;
        let other = r#" { "e" : { }, "ages" : [ 1 , 2.50 , {"b":true, "a":null} ],
                         "\u006eame" : "Zo\u00eb" } "#;
        assert_eq!(written(one), written(other));
    }

    #[test]
    fn different_values_differ() {
        let all = [
            "{}",
            "[]",
            r#"{"a":1}"#,
            r#"{"a":1.0}"#,
            r#"{"a":"1"}"#,
            r#"{"a":[1]}"#,
            r#"{"a":[1,1]}"#,
            r#"{"a":[11]}"#,
            r#"{"a":[[1],1]}"#,
            r#"{"a":[[1,1]]}"#,
            r#"{"a":null}"#,
            r#"{"a":"null"}"#,
            r#"{"a":{"b":1}}"#,
            r#"{"a":{},"b":1}"#,
            r#"{"a":"\ud800"}"#,
            r#"{"a":"\ud801"}"#,
            r#"{"b":1}"#,
            r#"{"a":123456789012345678901}"#,
            r#"{"a":123456789012345678902}"#,
        ];
        for (at, one) in all.iter().enumerate() {
            for other in &all[at + 1..] {
                assert_ne!(written(one), written(other), "{one} {other}");
            }
        }
    }
}
