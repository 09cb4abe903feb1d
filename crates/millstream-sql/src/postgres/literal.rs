//! Values as the texts that PostgreSQL's types read.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::value::RawValue;

use millstream_core::value::Value;

/// Numbers from here on are milliseconds since 1970, not seconds.
const MILLIS_MIN: f64 = 1e11;

/// The text of a value for a column of this type; none for null.
///
/// # Errors
///
/// What is wrong with it, without the value.
pub(super) fn literal<'a>(
    value: &'a Value,
    kind: &str,
) -> Result<Option<Cow<'a, str>>, &'static str> {
    let text: Cow<'a, str> = match value {
        Value::Null => return Ok(None),
        Value::Bool(value) => if *value { "true" } else { "false" }.into(),
        Value::Integer(_) | Value::Real(_) | Value::Number(_) if is_moment(kind) => {
            moment(value, kind)?.into()
        }
        Value::Integer(value) => value.to_string().into(),
        Value::Real(value) => value.to_string().into(),
        Value::Json(text) if kind.ends_with("[]") => array(text)?.into(),
        Value::Number(text) | Value::Text(text) | Value::Json(text) => Cow::Borrowed(text),
        Value::Blob(bytes) => {
            let mut hex = String::with_capacity(2 + 2 * bytes.len());
            hex.push_str("\\x");
            for byte in bytes {
                write!(hex, "{byte:02x}").expect("a string takes everything");
            }
            hex.into()
        }
    };
    if text.contains('\0') {
        return Err("a text with a NUL character");
    }
    Ok(Some(text))
}

fn is_moment(kind: &str) -> bool {
    kind == "date" || kind.starts_with("timestamp")
}

/// A number is a time since 1970, in seconds or in milliseconds, which no date between 1973 and 5138
/// confuses.
fn moment(value: &Value, kind: &str) -> Result<String, &'static str> {
    const WRONG: &str = "a number that is no time";
    let micros = match value {
        Value::Integer(number) if number.unsigned_abs() >= 100_000_000_000 => {
            number.checked_mul(1_000)
        }
        Value::Integer(number) => number.checked_mul(1_000_000),
        Value::Real(number) => {
            let factor = if number.abs() >= MILLIS_MIN { 1e3 } else { 1e6 };
            let micros = (number * factor).round();
            #[expect(clippy::cast_possible_truncation, reason = "it is far below 2^63")]
            (micros.abs() < 1e18).then_some(micros as i64)
        }
        _ => None,
    };
    let moment = micros
        .and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok())
        .ok_or(WRONG)?;
    let text = moment.to_string();
    Ok(match kind {
        "date" => text.split('T').next().unwrap_or_default().to_owned(),
        _ => text,
    })
}

/// A JSON array as the text of an array: `[1,[null,"a"]]` is `{1,{NULL,"a"}}`. Numbers stay as they are
/// written.
fn array(json: &str) -> Result<String, &'static str> {
    let items: Vec<&RawValue> = serde_json::from_str(json).map_err(|_| "no array")?;
    let mut text = String::from("{");
    for (at, item) in items.into_iter().map(RawValue::get).enumerate() {
        if at > 0 {
            text.push(',');
        }
        match item.as_bytes().first() {
            Some(b'[') => text.push_str(&array(item)?),
            Some(b'{') => quote(item, &mut text),
            Some(b'"') => {
                let item: String = serde_json::from_str(item).map_err(|_| "no text")?;
                quote(&item, &mut text);
            }
            Some(b'n') => text.push_str("NULL"),
            _ => text.push_str(item),
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
        let found = match literal(&value, kind) {
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
        check(Value::Integer(1_767_225_600), "date", "2026-01-01");
        check(Value::Integer(i64::MAX), zone, "! a number that is no time");
        check(Value::Text("2026-01-01".into()), zone, "2026-01-01");
    }

    #[test]
    fn arrays_keep_what_is_in_them() {
        let json = r#"[1.50, null, "a\"b\\c", true, {"k": "v"}, [], "NULL"]"#;
        let expected = r#"{1.50,NULL,"a\"b\\c",true,"{\"k\": \"v\"}",{},"NULL"}"#;
        check(Value::Json(json.into()), "text[]", expected);
        check(
            Value::Json("[[1,2],[3,4]]".into()),
            "integer[]",
            "{{1,2},{3,4}}",
        );
        check(Value::Json("{}".into()), "text[]", "! no array");
    }
}
