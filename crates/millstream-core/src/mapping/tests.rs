//! Mappings as people write them, and what they make of events.

mod coerce;
mod compile;
mod plan;

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::change::{Change, Op};
use crate::delivery::{Decoded, Plan};
use crate::entry::{Entry, EntryId};
use crate::lease::Feed;
use crate::name::StreamName;
use crate::store::{Column, Table};
use crate::value::{ColumnKind, Value};

/// Columns as `name kind`, with `!` for required and `=` for generated.
fn table(columns: &str, unique: &[&str]) -> Table {
    let column = |text: &str| {
        let (name, kind) = text.trim().split_once(' ').unwrap();
        let kind_name = kind.trim_end_matches(['!', '=']);
        Column {
            name: name.into(),
            kind: match kind_name {
                "integer" => ColumnKind::Integer,
                "numeric" => ColumnKind::Numeric,
                "text" => ColumnKind::Text,
                "boolean" => ColumnKind::Boolean,
                "json" => ColumnKind::Json,
                other => panic!("{other}"),
            },
            generated: kind.ends_with('='),
            required: kind.ends_with('!'),
            bends: kind_name == "numeric",
        }
    };
    Table {
        columns: columns.split(',').map(column).collect(),
        unique: unique
            .iter()
            .map(|u| u.split(',').map(Arc::from).collect())
            .collect(),
        related: false,
        version: 1,
    }
}

fn tables() -> HashMap<Arc<str>, Table> {
    let employees = table(
        "tenant_id text!, user_id text!, email text, age integer, salary numeric, active boolean, \
         tags json, full_name text=",
        &["tenant_id,user_id", "email"],
    );
    let audit = table("id integer!, what text!", &["id"]);
    HashMap::from([("employees".into(), employees), ("audit".into(), audit)])
}

fn paths(list: &[(&str, &str)]) -> Vec<(String, ValueSpec)> {
    list.iter()
        .map(|&(c, path)| (c.into(), ValueSpec::Path(path.into())))
        .collect()
}

/// An upsert of `employees` by tenant and user.
fn spec(on: &[&str], set: &[(&str, &str)]) -> Spec {
    Spec {
        on: on.iter().map(|&pattern| pattern.into()).collect(),
        table: "employees".into(),
        key: paths(&[("tenant_id", "tenantId"), ("user_id", "entityId")]),
        set: paths(set),
        op: Op::Upsert,
        when: None,
    }
}

fn expression(source: &str) -> ValueSpec {
    ValueSpec::Expression(source.into())
}

#[track_caller]
fn router(specs: &[Spec]) -> Router {
    super::compile(specs, &tables()).unwrap()
}

fn event(event_type: &str, data: &str) -> Decoded {
    event_of("t1", "7", event_type, data)
}

fn event_of(tenant: &str, entity: &str, event_type: &str, data: &str) -> Decoded {
    let fields = [
        ("eventId", "e1"),
        ("eventType", event_type),
        ("sourceApplication", "crm"),
        ("tenantId", tenant),
        ("entityId", entity),
        ("eventData", data),
        ("metadata", r#"{"correlationId":"c1"}"#),
    ];
    let own = |text: &str| bytes::Bytes::copy_from_slice(text.as_bytes());
    let fields = fields
        .iter()
        .map(|(name, value)| (own(name), own(value)))
        .collect();
    let feed = Feed::Shared(StreamName::new("s").unwrap());
    crate::wire::decode(
        &feed,
        &Entry {
            id: EntryId::new(0, 1),
            fields,
        },
    )
    .unwrap()
}

/// `upsert employees tenant_id='t1' user_id='7' set email='a' age=7`
fn show(plan: &Plan) -> String {
    match plan {
        Plan::Apply { changes, handler } => {
            let mut lines: Vec<String> = changes.iter().map(show_change).collect();
            if *handler {
                lines.push("handler".into());
            }
            if lines.is_empty() {
                "nothing".into()
            } else {
                lines.join("\n")
            }
        }
        Plan::Skip => "skip".into(),
        Plan::Invalid(reason) => format!("invalid: {reason}"),
    }
}

fn show_change(change: &Change) -> String {
    let pairs = |columns: &[Arc<str>], values: &[Value]| {
        assert_eq!(columns.len(), values.len());
        let pairs = columns.iter().zip(values);
        pairs
            .map(|(column, value)| format!(" {column}={}", show_value(value)))
            .collect::<String>()
    };
    let Change { shape, key, set } = change;
    let op = format!("{:?}", shape.op).to_lowercase();
    let set = match pairs(&shape.set, set) {
        set if set.is_empty() => set,
        set => format!(" set{set}"),
    };
    format!("{op} {}{}{set}", shape.table, pairs(&shape.key, key))
}

fn show_value(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(truth) => truth.to_string(),
        Value::Integer(integer) => integer.to_string(),
        Value::Real(real) => format!("{real:?}"),
        Value::Number(text) => format!("number {text}"),
        Value::Text(text) => format!("'{text}'"),
        Value::Json(text) => format!("json {text}"),
        Value::Blob(bytes) => format!("{bytes:?}"),
    }
}
