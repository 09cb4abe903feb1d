//! Which value a column gets: the same input, the same value, on every database.
//!
//! Nothing is rounded, cut or guessed. What a column would have to bend is a mismatch.

use std::borrow::Cow;
use std::fmt;

use crate::value::{ColumnKind, Value};

/// A value on its way to a column, in the words of JSON.
#[derive(Clone, PartialEq)]
pub enum Input<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as JSON writes it.
    Number(Cow<'a, str>),
    /// What a string says.
    Text(Cow<'a, str>),
    /// The JSON text of an object.
    Object(Cow<'a, str>),
    /// The JSON text of an array.
    Array(Cow<'a, str>),
    /// Bytes, which only expressions make.
    Bytes(Cow<'a, [u8]>),
}

impl<'a> Input<'a> {
    /// Reads the text of one JSON value.
    ///
    /// # Errors
    ///
    /// Fails when a string in it is no Unicode text.
    pub fn from_json(raw: &'a str) -> Result<Self, &'static str> {
        Ok(match raw.as_bytes().first() {
            Some(b'n') | None => Self::Null,
            Some(b't') => Self::Bool(true),
            Some(b'f') => Self::Bool(false),
            Some(b'"') => {
                Self::Text(crate::wire::json::text_of(raw).ok_or("text that is not valid Unicode")?)
            }
            Some(b'{') => Self::Object(raw.into()),
            Some(b'[') => Self::Array(raw.into()),
            Some(_) => Self::Number(raw.into()),
        })
    }

    /// What people call it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::Object(_) => "an object",
            Self::Array(_) => "an array",
            Self::Bytes(_) => "bytes",
        }
    }
}

/// Shows the type; the value may be what must not reach a log.
impl fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.type_name())
    }
}

/// A value does not fit its column. Says of which type it is, not which value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("takes {}, found {found}", kind_name(*expected))]
pub struct Mismatch {
    /// What the column takes.
    pub expected: ColumnKind,
    /// What was found.
    pub found: &'static str,
}

/// Makes the value that a column of this kind stores.
///
/// # Errors
///
/// Fails when the value does not fit without losing something.
pub fn coerce(kind: ColumnKind, input: Input<'_>) -> Result<Value, Mismatch> {
    if matches!(input, Input::Null) {
        return Ok(Value::Null);
    }
    match kind {
        ColumnKind::Integer => integer(&input),
        ColumnKind::Real => real(&input),
        ColumnKind::Numeric => numeric(input),
        ColumnKind::Text => text(input),
        ColumnKind::Boolean => boolean(&input),
        ColumnKind::Json => json(input),
        ColumnKind::Blob => blob(input),
        ColumnKind::Any => any(input),
    }
    .map_err(|found| Mismatch {
        expected: kind,
        found,
    })
}

type Found = &'static str;

fn integer(input: &Input<'_>) -> Result<Value, Found> {
    match input {
        Input::Bool(truth) => Ok(Value::Integer(i64::from(*truth))),
        Input::Number(number) => match number.parse() {
            Ok(integer) => Ok(Value::Integer(integer)),
            Err(_) if is_whole(number) => Err("a number that does not fit into 64 bits"),
            Err(_) => Err("a number with a fraction or an exponent"),
        },
        Input::Text(text) => match text.parse::<i64>() {
            // Canonical, so that "007" and "+7" are not quietly made equal to "7".
            Ok(integer) if integer.to_string() == **text => Ok(Value::Integer(integer)),
            _ => Err("text that is not a whole number"),
        },
        other => Err(other.type_name()),
    }
}

fn real(input: &Input<'_>) -> Result<Value, Found> {
    match input {
        Input::Number(number) => match number.parse::<f64>() {
            Ok(real) if real.is_finite() && comes_back(real, number) => Ok(Value::Real(real)),
            Ok(real) if real.is_finite() => Err("a number that a double cannot hold"),
            _ => Err("a number out of range"),
        },
        other => Err(other.type_name()),
    }
}

/// Digits of the longest double: no number with more of them is one.
const DOUBLE_DIGITS_MAX: usize = 767;

/// Whether nothing is lost: the double, written as shortly as it can be told from its neighbours or
/// with as many digits as the number, has the digits of the number. Where two are as short and as
/// near (848961363894547.25 is …7.2 to some and …7.3 to others), programs differ in which they write.
fn comes_back(real: f64, number: &str) -> bool {
    let digits = significant(number);
    if digits.len() > DOUBLE_DIGITS_MAX {
        return false;
    }
    let after_point = digits.len().saturating_sub(1);
    significant(&format!("{real:e}")) == digits
        || significant(&format!("{real:.after_point$e}")) == digits
}

/// The digits of a number without sign, point, exponent, and zeros at either end.
fn significant(number: &str) -> String {
    let mantissa = number.split(['e', 'E']).next().unwrap_or_default();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    digits.trim_matches('0').to_owned()
}

fn numeric(input: Input<'_>) -> Result<Value, Found> {
    match input {
        Input::Number(number) => Ok(exact(&number)),
        Input::Text(text) if is_number(&text) => Ok(exact(&text)),
        Input::Text(_) => Err("text that is not a number"),
        other => Err(other.type_name()),
    }
}

fn text(input: Input<'_>) -> Result<Value, Found> {
    Ok(Value::Text(match input {
        Input::Text(text) if text.contains('\0') => return Err("text that contains NUL"),
        Input::Text(text) | Input::Number(text) | Input::Object(text) | Input::Array(text) => {
            text.into()
        }
        Input::Bool(truth) => truth.to_string().into(),
        other => return Err(other.type_name()),
    }))
}

fn boolean(input: &Input<'_>) -> Result<Value, Found> {
    match input {
        Input::Bool(truth) => Ok(Value::Bool(*truth)),
        Input::Number(number) => match &**number {
            "0" => Ok(Value::Bool(false)),
            "1" => Ok(Value::Bool(true)),
            _ => Err("a number that is neither 0 nor 1"),
        },
        Input::Text(text) => match &**text {
            "false" => Ok(Value::Bool(false)),
            "true" => Ok(Value::Bool(true)),
            _ => Err("text that is neither true nor false"),
        },
        other => Err(other.type_name()),
    }
}

fn json(input: Input<'_>) -> Result<Value, Found> {
    Ok(Value::Json(match input {
        Input::Number(text) | Input::Object(text) | Input::Array(text) => text.into(),
        Input::Text(text) => serde_json::Value::from(text).to_string().into(),
        Input::Bool(truth) => truth.to_string().into(),
        other => return Err(other.type_name()),
    }))
}

fn blob(input: Input<'_>) -> Result<Value, Found> {
    match input {
        Input::Bytes(bytes) => Ok(Value::Blob(bytes.into())),
        Input::Text(text) => {
            let hex = text.strip_prefix("\\x").and_then(from_hex);
            Ok(Value::Blob(hex.unwrap_or_else(|| text.as_bytes().into())))
        }
        other => Err(other.type_name()),
    }
}

fn any(input: Input<'_>) -> Result<Value, Found> {
    match input {
        Input::Bool(truth) => Ok(Value::Bool(truth)),
        Input::Number(number) => Ok(natural(&number)),
        Input::Text(_) => text(input),
        Input::Object(text) | Input::Array(text) => Ok(Value::Json(text.into())),
        Input::Bytes(bytes) => Ok(Value::Blob(bytes.into())),
        Input::Null => Ok(Value::Null),
    }
}

/// An integer if it is one, else as it was written.
fn exact(number: &str) -> Value {
    number
        .parse()
        .map_or_else(|_| Value::Number(number.into()), Value::Integer)
}

/// As [`exact`], but a fraction that a double gives back digit for digit is one.
fn natural(number: &str) -> Value {
    match (exact(number), number.parse::<f64>()) {
        (Value::Number(_), Ok(real)) if real.is_finite() && comes_back(real, number) => {
            Value::Real(real)
        }
        (exact, _) => exact,
    }
}

fn is_whole(number: &str) -> bool {
    number
        .bytes()
        .all(|byte| byte == b'-' || byte.is_ascii_digit())
}

/// Whether a text is a number as JSON writes it.
fn is_number(text: &str) -> bool {
    text.starts_with(|c: char| c == '-' || c.is_ascii_digit())
        && text.ends_with(|c: char| c.is_ascii_digit())
        && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

fn from_hex(hex: &str) -> Option<Box<[u8]>> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs
        .iter()
        .map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?))
        .collect()
}

fn kind_name(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Integer => "a whole number",
        ColumnKind::Real | ColumnKind::Numeric => "a number",
        ColumnKind::Text => "text",
        ColumnKind::Boolean => "a boolean",
        ColumnKind::Json => "JSON",
        ColumnKind::Blob => "bytes",
        ColumnKind::Any => "anything",
    }
}
