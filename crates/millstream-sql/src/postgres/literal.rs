//! Values as the texts that PostgreSQL's types read.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::value::RawValue;

use millstream_core::mapping::{Input, coerce};
use millstream_core::value::{ColumnKind, Value};

use crate::postgres::types::Type;

/// The text of a value for a column of this type; none for null.
///
/// # Errors
///
/// What is wrong with it, without the value.
pub(super) fn literal<'a>(
    value: &'a Value,
    of: &Type,
) -> Result<Option<Cow<'a, str>>, Cow<'static, str>> {
    if *value == Value::Null {
        return Ok(None);
    }
    let text = match (of.is_array, value) {
        (true, Value::Json(text)) => array(text, of)?.into(),
        // The server reads its own text, and bends what is in it.
        (true, _) if of.fit.is_some() => return Err("takes an array".into()),
        (true, _) => own(value),
        (false, _) => scalar(value, of)?,
    };
    if text.contains('\0') {
        return Err("a text with a NUL character".into());
    }
    Ok(Some(text))
}

/// The text of a value that is no array.
fn scalar<'a>(value: &'a Value, of: &Type) -> Result<Cow<'a, str>, &'static str> {
    let bent = match of.fit {
        Some(fit) => fit.check(value)?,
        None => None,
    };
    Ok(bent.map_or_else(|| own(value), Cow::Owned))
}

fn own(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Null => Cow::default(),
        Value::Bool(value) => if *value { "true" } else { "false" }.into(),
        Value::Integer(value) => value.to_string().into(),
        Value::Real(value) => value.to_string().into(),
        Value::Number(text) | Value::Text(text) | Value::Json(text) => Cow::Borrowed(text),
        Value::Blob(bytes) => {
            let mut hex = String::with_capacity(2 + 2 * bytes.len());
            hex.push_str("\\x");
            for byte in bytes {
                write!(hex, "{byte:02x}").expect("a string takes everything");
            }
            hex.into()
        }
    }
}

/// A JSON array as the text of an array: `[1,[null,"a"]]` is `{"1",{NULL,"a"}}`. Each element is what a
/// column of its type takes.
fn array(json: &str, of: &Type) -> Result<String, Cow<'static, str>> {
    let items: Vec<&RawValue> = serde_json::from_str(json).map_err(|_| "takes an array")?;
    let mut text = String::from("{");
    for (at, item) in items.into_iter().map(RawValue::get).enumerate() {
        if at > 0 {
            text.push(',');
        }
        // A document may be an array itself.
        if item.starts_with('[') && of.kind != ColumnKind::Json {
            text.push_str(&array(item, of)?);
            continue;
        }
        let value = coerce(of.kind, Input::from_json(item)?);
        match value.map_err(|wrong| format!("an element {wrong}"))? {
            Value::Null => text.push_str("NULL"),
            value => quote(&scalar(&value, of)?, &mut text),
        }
    }
    text.push('}');
    Ok(text)
}

fn quote(item: &str, text: &mut String) {
    text.push('"');
    for c in item.chars() {
        if matches!(c, '"' | '\\') {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: Value, kind: &str, expected: &str) {
        let found = match literal(&value, &Type::fixed(kind)) {
            Ok(text) => text.map_or("NULL".into(), Cow::into_owned),
            Err(error) => format!("! {error}"),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn values_are_written_without_loss() {
        check(Value::Null, "integer", "NULL");
        check(Value::Bool(true), "boolean", "true");
        check(Value::Integer(i64::MAX), "bigint", "9223372036854775807");
        check(Value::Real(0.1), "double precision", "0.1");
        check(
            Value::Number("1.10000000000000000001".into()),
            "numeric",
            "1.10000000000000000001",
        );
        check(Value::Blob([0, 255].into()), "bytea", "\\x00ff");
        check(
            Value::Text("a\0".into()),
            "text",
            "! a text with a NUL character",
        );
        check(Value::Json("{}".into()), "jsonb", "{}");
    }

    #[test]
    fn numbers_are_times_where_a_time_is_wanted() {
        let zone = "timestamp with time zone";
        check(Value::Integer(0), zone, "1970-01-01T00:00:00Z");
        check(Value::Integer(1_767_225_600), zone, "2026-01-01T00:00:00Z");
        check(
            Value::Integer(1_767_225_600_123),
            zone,
            "2026-01-01T00:00:00.123Z",
        );
        check(Value::Real(1_767_225_600.5), zone, "2026-01-01T00:00:00.5Z");
        check(
            Value::Integer(i64::MAX),
            zone,
            "! takes an instant: the number is out of range",
        );
        check(Value::Text("2026-01-01".into()), zone, "2026-01-01");
    }

    #[test]
    fn arrays_keep_what_is_in_them() {
        let json = r#"[1.50, null, "a\"b\\c", true, {"k": "v"}, [], "NULL"]"#;
        let expected = r#"{"1.50",NULL,"a\"b\\c","true","{\"k\": \"v\"}",{},"NULL"}"#;
        check(Value::Json(json.into()), "text[]", expected);
        check(
            Value::Json("[[1,2],[3,4]]".into()),
            "integer[]",
            r#"{{"1","2"},{"3","4"}}"#,
        );
        check(
            Value::Json(r#"[[1], {"a": "b"}, "c", null]"#.into()),
            "jsonb[]",
            r#"{"[1]","{\"a\": \"b\"}","\"c\"",NULL}"#,
        );
        check(Value::Json("{}".into()), "text[]", "! takes an array");
    }

    #[test]
    fn elements_are_held_to_their_type() {
        let json = |json: &str| Value::Json(json.into());
        check(
            json("[1767225600]"),
            "timestamp with time zone[]",
            r#"{"2026-01-01T00:00:00Z"}"#,
        );
        check(
            json("[1.005]"),
            "numeric(10,2)[]",
            "! keeps fewer digits behind the point than the value has",
        );
        check(
            json("[1.5]"),
            "integer[]",
            "! an element takes a whole number, found a number with a fraction or an exponent",
        );
        check(
            Value::Text("{1.005}".into()),
            "numeric(10,2)[]",
            "! takes an array",
        );
        check(Value::Text("{a}".into()), "text[]", "{a}");
    }
}
