//! Values for columns that would bend them in silence.
//!
//! Both servers are strict about texts that are too long and numbers out of range, but round a decimal,
//! cut an instant and take an epoch for a date, and say so in a note at most.

use std::collections::HashMap;
use std::sync::Arc;

use mysql_async::Value as Bound;

use millstream_core::error::{Error, ErrorKind};
use millstream_core::value::Value;

use crate::fitting::{
    CUT_DECIMAL, CUT_SECOND, Digits, NO_DATE, NO_INSTANT, fraction, is_date, since_epoch, single,
};

/// What a column takes that the server would not refuse by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// A date and a time, with so many digits of a second: RFC 3339 text with an offset, which is stored
    /// as UTC, seconds or milliseconds since 1970, or text as the server writes it.
    Instant(usize),
    /// A date.
    Date,
    /// A number with so many digits behind the point.
    Decimal(usize),
    /// A number of single precision.
    Single,
}

/// What must be known of a table to write to it.
#[derive(Debug, Default)]
pub(super) struct Fits {
    /// Columns that take what the server would not refuse by itself.
    pub(super) columns: HashMap<Arc<str>, Fit>,
    /// Whether its rows can be written many at a time although their order counts: all that relates them
    /// is a key that takes different texts for equal.
    pub(super) only_folds: bool,
}

impl Fit {
    /// Of a column, as it was declared.
    pub(super) fn of(data_type: &str, column_type: &str) -> Option<Self> {
        let inside = column_type.split(['(', ')']).nth(1).unwrap_or_default();
        let last = inside.rsplit(',').next().unwrap_or_default();
        let digits = last.trim().parse().unwrap_or(0);
        Some(match data_type {
            "datetime" | "timestamp" => Self::Instant(digits),
            "date" => Self::Date,
            "decimal" => Self::Decimal(if inside.contains(',') { digits } else { 0 }),
            "float" => Self::Single,
            _ => return None,
        })
    }

    /// The value as it is bound; what is wrong with it, if it does not fit.
    fn bind(self, value: &Value) -> Result<Bound, &'static str> {
        match (self, value) {
            (_, Value::Null) => Ok(Bound::NULL),
            (Self::Instant(digits), _) => instant(value, digits),
            (Self::Date, Value::Text(text)) if is_date(text) => Ok(bound(value)),
            (Self::Date, _) => Err(NO_DATE),
            (Self::Decimal(scale), Value::Real(number)) => decimal(&number.to_string(), scale),
            (Self::Decimal(scale), Value::Number(number)) => decimal(number, scale),
            (Self::Single, Value::Real(number)) => single(*number).map(Bound::Float),
            (Self::Decimal(_) | Self::Single, _) => Ok(bound(value)),
        }
    }
}

/// Binds the values of these columns.
///
/// # Errors
///
/// [`Invalid`](ErrorKind::Invalid) with table, column and reason for a value that does not fit.
pub(super) fn bind(
    table: &str,
    fits: Option<&Fits>,
    columns: &[Arc<str>],
    values: &[Value],
) -> Result<Vec<Bound>, Error> {
    let one = |(column, value): (&Arc<str>, &Value)| match fits
        .and_then(|fits| fits.columns.get(column))
    {
        None => Ok(bound(value)),
        Some(fit) => fit.bind(value).map_err(|reason| {
            let text = format!("{table}.{column} {reason}");
            Error::new(ErrorKind::Invalid, text)
        }),
    };
    columns.iter().zip(values).map(one).collect()
}

/// A value as the server takes it. Numbers that neither an integer nor a double holds go as they were
/// written.
pub(super) fn bound(value: &Value) -> Bound {
    match value {
        Value::Null => Bound::NULL,
        Value::Bool(value) => Bound::Int(i64::from(*value)),
        Value::Integer(value) => Bound::Int(*value),
        Value::Real(value) => Bound::Double(*value),
        Value::Number(text) | Value::Text(text) | Value::Json(text) => {
            Bound::Bytes(text.as_bytes().to_vec())
        }
        Value::Blob(bytes) => Bound::Bytes(bytes.to_vec()),
    }
}

fn instant(value: &Value, digits: usize) -> Result<Bound, &'static str> {
    let instant = match value {
        Value::Text(text) => match text.parse::<jiff::Timestamp>() {
            Ok(instant) => instant,
            // Without an offset: it is the server's to judge.
            Err(_) if fraction(text) <= digits => return Ok(bound(value)),
            Err(_) => return Err(CUT_SECOND),
        },
        Value::Integer(_) | Value::Real(_) | Value::Number(_) => since_epoch(value)?,
        _ => return Err(NO_INSTANT),
    };
    let text = instant.strftime("%Y-%m-%d %H:%M:%S%.9f").to_string();
    match fraction(&text) <= digits {
        true => Ok(Bound::Bytes(
            text.trim_end_matches('0').trim_end_matches('.').into(),
        )),
        false => Err(CUT_SECOND),
    }
}

fn decimal(number: &str, scale: usize) -> Result<Bound, &'static str> {
    let scale = i64::try_from(scale).unwrap_or(i64::MAX);
    match Digits::of(number).is_some_and(|digits| digits.behind > scale) {
        true => Err(CUT_DECIMAL),
        false => Ok(Bound::Bytes(number.as_bytes().to_vec())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(column_type: &str, value: Value, expected: Result<&str, &str>) {
        let data_type = column_type.split('(').next().unwrap();
        let fit = Fit::of(data_type, column_type).unwrap();
        let shown = fit.bind(&value).map(|bound| match bound {
            Bound::Bytes(bytes) => String::from_utf8(bytes).unwrap(),
            other => other.as_sql(true),
        });
        match (shown, expected) {
            (Ok(shown), Ok(expected)) => assert_eq!(shown, expected),
            (Err(reason), Err(part)) => assert!(reason.contains(part), "{reason}"),
            (shown, expected) => panic!("{column_type}: {shown:?}, not {expected:?}"),
        }
    }

    fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    #[test]
    fn an_instant_is_stored_as_utc() {
        let rfc = || text("2024-02-29T12:34:56.120+01:00");
        check("datetime(6)", rfc(), Ok("2024-02-29 11:34:56.12"));
        check("timestamp(2)", rfc(), Ok("2024-02-29 11:34:56.12"));
        check("datetime", rfc(), Err("fewer digits of a second"));
        check(
            "datetime",
            text("2024-02-29T00:00:00.000Z"),
            Ok("2024-02-29 00:00:00"),
        );
        check(
            "datetime",
            text("2024-02-29 12:34:56"),
            Ok("2024-02-29 12:34:56"),
        );
        check(
            "datetime",
            Value::Integer(1_009_213_056),
            Ok("2001-12-24 16:57:36"),
        );
        check(
            "datetime(3)",
            Value::Integer(1_709_210_096_789),
            Ok("2024-02-29 12:34:56.789"),
        );
        check("datetime", Value::Bool(true), Err("takes an instant"));
    }

    #[test]
    fn nothing_is_rounded_or_cut() {
        check("decimal(10,2)", Value::Real(1.05), Ok("1.05"));
        check(
            "decimal(10,2)",
            Value::Number("1.0500".into()),
            Ok("1.0500"),
        );
        check("decimal(10,2)", Value::Real(1.005), Err("behind the point"));
        check(
            "decimal(10,2)",
            Value::Number("1005e-3".into()),
            Err("behind the point"),
        );
        check("datetime(1)", Value::Real(0.5), Ok("1970-01-01 00:00:00.5"));
        check("decimal(10)", Value::Real(1.5), Err("behind the point"));
        check("date", text("2024-02-29"), Ok("2024-02-29"));
        check("date", text("2024-02-29T12:00:00Z"), Err("takes a date"));
        check("date", Value::Integer(20_240_229), Err("takes a date"));
        check("float", Value::Real(0.1), Ok("0.1"));
        check(
            "float",
            Value::Real(0.123_456_789_012),
            Err("single precision"),
        );
    }
}
