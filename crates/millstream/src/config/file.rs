//! The file as it is written, before any of it is checked.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use toml::Spanned;

use millstream_core::mapping::ValueSpec;

use crate::config::secret::Secret;

/// Tables keep the spans of their keys, so that a problem can be shown where it stands.
pub(super) type Table<T> = BTreeMap<Spanned<String>, T>;

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) transport: Transport,
    #[serde(default)]
    pub(super) streams: Table<Stream>,
    #[serde(default)]
    pub(super) apps: Table<App>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Transport {
    pub(super) url: Spanned<String>,
    pub(super) username: Option<Spanned<String>>,
    pub(super) password: Option<Spanned<Secret>>,
    pub(super) password_file: Option<Spanned<String>>,
    pub(super) sentinel_username: Option<Spanned<String>>,
    pub(super) sentinel_password: Option<Spanned<Secret>>,
    pub(super) ca: Option<Spanned<String>>,
    pub(super) certificate: Option<Spanned<String>>,
    pub(super) key: Option<Spanned<String>>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stream {
    pub(super) shards: Option<Spanned<u16>>,
    pub(super) retention: Option<Spanned<String>>,
    pub(super) replay_margin: Option<u64>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct App {
    pub(super) database: Spanned<String>,
    pub(super) username: Option<Spanned<String>>,
    pub(super) password: Option<Spanned<Secret>>,
    pub(super) password_file: Option<Spanned<String>>,
    pub(super) ca: Option<Spanned<String>>,
    pub(super) connections: Option<Spanned<usize>>,
    pub(super) notify: Option<Spanned<bool>>,
    #[serde(default)]
    pub(super) publishes: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) subscribes: Vec<Spanned<String>>,
    pub(super) table_prefix: Option<Spanned<String>>,
    pub(super) lease: Option<Spanned<String>>,
    pub(super) batch_max: Option<Spanned<usize>>,
    pub(super) conflict_deadline: Option<Spanned<String>>,
    pub(super) inbox_retention: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) parallel: bool,
    #[serde(default)]
    pub(super) map: Vec<Spanned<Map>>,
    #[serde(default)]
    pub(super) source: Vec<Spanned<Source>>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Map {
    pub(super) on: Vec<Spanned<String>>,
    pub(super) table: Spanned<String>,
    pub(super) key: Table<Spanned<Value>>,
    #[serde(default)]
    pub(super) set: Table<Spanned<Value>>,
    pub(super) mode: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) delete: bool,
    pub(super) when: Option<Spanned<String>>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Source {
    pub(super) event: Spanned<String>,
    pub(super) table: Spanned<String>,
    pub(super) key: Table<Spanned<String>>,
    #[serde(default)]
    pub(super) data: Table<Spanned<String>>,
}

/// `"data.email"`, `{ const = true }` or `{ expr = "data.first + data.last" }`.
#[derive(Debug)]
pub(super) struct Value(pub(super) ValueSpec);

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor).map(Self)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = ValueSpec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a path such as \"data.email\", { const = … } or { expr = \"…\" }")
    }

    fn visit_str<E: de::Error>(self, path: &str) -> Result<ValueSpec, E> {
        Ok(ValueSpec::Path(path.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ValueSpec, A::Error> {
        let value = match map.next_key::<String>()?.as_deref() {
            Some("const") => ValueSpec::Constant(map.next_value()?),
            Some("expr") => ValueSpec::Expression(map.next_value()?),
            Some(other) => return Err(de::Error::unknown_field(other, &["const", "expr"])),
            None => {
                return Err(de::Error::custom(
                    "expected { const = … } or { expr = \"…\" }",
                ));
            }
        };
        match map.next_key::<String>()? {
            None => Ok(value),
            Some(_) => Err(de::Error::custom(
                "expected const or expr, not more than one of them",
            )),
        }
    }
}
