//! Values for columns that would bend them in silence.
//!
//! Both servers are strict about texts that are too long and numbers out of range, but round a decimal,
//! cut an instant, take an epoch for a date and a number for a member of a list, and say so in a note at
//! most.

use std::collections::HashMap;
use std::sync::Arc;

use mysql_async::Value as Bound;

use millstream_core::error::{Error, ErrorKind};
use millstream_core::value::Value;

use crate::fitting::{
    CUT_DECIMAL, CUT_SECOND, Digits, NO_DATE, NO_INSTANT, begins_with_date, fraction, is_date,
    is_within, since_epoch, single,
};

/// What a column takes that the server would not refuse by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// A date and a time, with so many digits of a second: RFC 3339 text with an offset, which is stored
    /// as UTC, seconds or milliseconds since 1970, or text as the server writes it.
    Instant(usize),
    /// A date.
    Date,
    /// A time of day or a span, with so many digits of a second.
    Time(usize),
    /// A year of four digits.
    Year,
    /// One of a list, or some: never by its number there.
    Listed,
    /// A number with so many digits behind the point.
    Decimal(usize),
    /// A number of single precision.
    Single,
    /// So many characters. The server refuses more, but cuts blanks.
    Text(usize),
}

/// What must be known of a table to write to it.
#[derive(Debug, Default)]
pub(super) struct Fits {
    /// The table as it was described.
    pub(super) version: u64,
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
            "time" => Self::Time(digits),
            "year" => Self::Year,
            "enum" | "set" => Self::Listed,
            "decimal" => Self::Decimal(if inside.contains(',') { digits } else { 0 }),
            "float" | "double" if inside.contains(',') => Self::Decimal(digits),
            "float" => Self::Single,
            "varchar" => Self::Text(digits),
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
            (Self::Time(digits), Value::Text(text)) if is_time(text) => {
                match fraction(text) <= digits {
                    true => Ok(bound(value)),
                    false => Err(CUT_SECOND),
                }
            }
            (Self::Time(_), _) => Err("takes a time such as 12:34:56"),
            (Self::Year, Value::Integer(0 | 1901..=2155)) => Ok(bound(value)),
            (Self::Year, Value::Text(text)) if is_year(text) => Ok(bound(value)),
            (Self::Year, _) => Err("takes a year such as 2024"),
            (Self::Listed, Value::Text(text)) if is_number(text) => Err(NUMBERED),
            (Self::Listed, Value::Text(_)) => Ok(bound(value)),
            (Self::Listed, _) => Err(NUMBERED),
            (Self::Decimal(scale), Value::Real(number)) => decimal(&number.to_string(), scale),
            (Self::Decimal(scale), Value::Number(number)) => decimal(number, scale),
            (Self::Single, Value::Real(number)) => single(*number).map(Bound::Float),
            (Self::Text(max), Value::Text(text)) if !is_within(text, max) => {
                Err("keeps fewer characters than the text has")
            }
            (Self::Decimal(_) | Self::Single | Self::Text(_), _) => Ok(bound(value)),
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
            // Without an offset: it is the server's to judge, which guesses the century of other texts.
            Err(_) if !begins_with_date(text) => return Err(NO_INSTANT),
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

const NUMBERED: &str = "takes its own words, and no number that may be the place of one";

fn decimal(number: &str, scale: usize) -> Result<Bound, &'static str> {
    let scale = i64::try_from(scale).unwrap_or(i64::MAX);
    match Digits::of(number).is_some_and(|digits| digits.behind > scale) {
        true => Err(CUT_DECIMAL),
        false => Ok(Bound::Bytes(number.as_bytes().to_vec())),
    }
}

/// Whether it is four digits.
fn is_year(text: &str) -> bool {
    text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether it is hours, minutes and perhaps seconds: other texts are counted from their ends.
fn is_time(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let parts: Vec<&str> = whole.split(':').collect();
    let digits = |part: &&str| part.bytes().all(|b| b.is_ascii_digit());
    let [hours, rest @ ..] = &*parts else {
        return false;
    };
    (1..=3).contains(&hours.len())
        && (1..=2).contains(&rest.len())
        && rest.iter().all(|part| part.len() == 2)
        && parts.iter().all(digits)
        && digits(&fraction)
}

/// Whether the server would read it as a whole number.
fn is_number(text: &str) -> bool {
    let digits = text.trim_matches(|c: char| c.is_ascii_whitespace());
    let digits = digits.strip_prefix(['+', '-']).unwrap_or(digits);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
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
        check("decimal(10)", Value::Real(1.5), Err("behind the point"));
        let number = |text: &str| Value::Number(text.into());
        for fits in [
            "100e-2", "1.5e1", "10.50e-1", "0e-9", "0.00e-9", "-12e-2", "1E+3", "1000e-5",
        ] {
            check("decimal(10,2)", number(fits), Ok(fits));
        }
        for cut in [
            "1005e-3",
            "1.005",
            "1.05e-1",
            "-1e-3",
            "1e-99999999999999999999",
            "1001e-5",
        ] {
            check("decimal(10,2)", number(cut), Err("behind the point"));
        }
        check("double(5,2)", Value::Real(1.005), Err("behind the point"));
        check("float(5,2)", Value::Real(1.25), Ok("1.25"));
        check("date", text("2024-02-29"), Ok("2024-02-29"));
        check("date", text("2024-02-29T12:00:00Z"), Err("takes a date"));
        check("date", Value::Integer(20_240_229), Err("takes a date"));
        check("date", text("10:11:12.5"), Err("takes a date"));
        check("date", text("2024.02.29"), Err("takes a date"));
        check("varchar(3)", text("łó🦀"), Ok("łó🦀"));
        check("varchar(3)", text("abc "), Err("fewer characters"));
        check("float", Value::Real(0.1), Ok("0.1"));
        check(
            "float",
            Value::Real(0.123_456_789_012),
            Err("single precision"),
        );
    }

    /// What the server would guess.
    #[test]
    fn nothing_is_taken_for_something_else() {
        let time = Err("takes a time");
        for fits in ["12:00:00", "12:34", "-838:59:59", "1:00:00.000"] {
            check("time", text(fits), Ok(fits));
        }
        check("time(1)", text("12:00:00.7"), Ok("12:00:00.7"));
        check("time", text("12:00:00.7"), Err("digits of a second"));
        for other in [
            "101010",
            "12",
            "1 12:00:00",
            "12:0",
            ":00",
            "2024-02-29T12:00:00Z",
        ] {
            check("time", text(other), time);
        }
        check("time", Value::Integer(101_010), time);
        check("year", Value::Integer(2024), Ok("2024"));
        check("year", text("1970"), Ok("1970"));
        for other in [
            Value::Integer(70),
            text("70"),
            text("0"),
            Value::Real(2024.6),
        ] {
            check("year", other, Err("takes a year"));
        }
        check("datetime", text("10:11:12.5"), Err("takes an instant"));
        check("datetime", text("240229"), Err("takes an instant"));
        check("enum('a','b')", text("a"), Ok("a"));
        check("set('a','b')", text("a,b"), Ok("a,b"));
        for number in ["2", "02", " 2", "+2"] {
            check("enum('a','b')", text(number), Err("its own words"));
        }
        check("set('a','b')", Value::Integer(3), Err("its own words"));
    }
}
