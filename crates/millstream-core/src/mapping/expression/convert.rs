//! Between JSON and the values of expressions.

use std::sync::Arc;

use cel::objects::{Key, Map, OptionalValue};
use serde_json::Value as Json;

use crate::mapping::coerce::Input;

/// Whole numbers become ints, all others doubles.
pub(in crate::mapping) fn from_json(json: Json) -> cel::Value {
    match json {
        Json::Null => cel::Value::Null,
        Json::Bool(truth) => cel::Value::Bool(truth),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => cel::Value::Int(integer),
            (None, Some(real)) => cel::Value::Float(real),
            (None, None) => cel::Value::Null,
        },
        Json::String(text) => cel::Value::String(Arc::new(text)),
        Json::Array(elements) => {
            cel::Value::List(Arc::new(elements.into_iter().map(from_json).collect()))
        }
        Json::Object(members) => cel::Value::Map(Map {
            map: Arc::new(
                members
                    .into_iter()
                    .map(|(name, value)| (Key::String(Arc::new(name)), from_json(value)))
                    .collect(),
            ),
        }),
    }
}

/// What a column would get; nothing for an optional that holds nothing.
pub(super) fn to_input(value: cel::Value) -> Result<Option<Input<'static>>, &'static str> {
    Ok(Some(match value {
        cel::Value::Null => Input::Null,
        cel::Value::Bool(truth) => Input::Bool(truth),
        cel::Value::Int(integer) => Input::Number(integer.to_string().into()),
        cel::Value::UInt(integer) => Input::Number(integer.to_string().into()),
        cel::Value::Float(real) => Input::Number(number(real)?.to_string().into()),
        cel::Value::String(text) => Input::Text(Arc::unwrap_or_clone(text).into()),
        cel::Value::Bytes(bytes) => Input::Bytes(Arc::unwrap_or_clone(bytes).into()),
        cel::Value::List(_) => Input::Array(to_json(&value)?.to_string().into()),
        cel::Value::Map(_) => Input::Object(to_json(&value)?.to_string().into()),
        cel::Value::Opaque(ref opaque) => match opaque.downcast_ref::<OptionalValue>() {
            Some(optional) => match optional.value() {
                Some(value) => return to_input(value.clone()),
                None => return Ok(None),
            },
            None => return Err(NO_VALUE),
        },
        _ => return Err(NO_VALUE),
    }))
}

const NO_VALUE: &str = "it gives something that no column can hold";

fn to_json(value: &cel::Value) -> Result<Json, &'static str> {
    Ok(match value {
        cel::Value::Null => Json::Null,
        cel::Value::Bool(truth) => Json::Bool(*truth),
        cel::Value::Int(integer) => Json::from(*integer),
        cel::Value::UInt(integer) => Json::from(*integer),
        cel::Value::Float(real) => Json::Number(number(*real)?),
        cel::Value::String(text) => Json::String(text.to_string()),
        cel::Value::List(elements) => {
            Json::Array(elements.iter().map(to_json).collect::<Result<_, _>>()?)
        }
        cel::Value::Map(map) => {
            let members = map
                .map
                .iter()
                .map(|(key, value)| Ok((key.to_string(), to_json(value)?)));
            let mut members = members.collect::<Result<Vec<_>, &'static str>>()?;
            // Sorted by name, so that the same event gives the same text.
            members.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
            Json::Object(members.into_iter().collect())
        }
        _ => return Err(NO_VALUE),
    })
}

fn number(real: f64) -> Result<serde_json::Number, &'static str> {
    serde_json::Number::from_f64(real).ok_or("it gives a number that is not finite")
}
