//! Values that PostgreSQL would bend in silence.
//!
//! It refuses texts that are too long and numbers out of range, but rounds decimals, seconds and singles,
//! and leaves out what a date or a time has no room for.

use millstream_core::value::Value;

use crate::fitting::{
    CUT_DECIMAL, CUT_SECOND, Digits, NO_DATE, NO_INSTANT, begins_with_date, fraction, is_date,
    is_within, since_epoch, single,
};

const LONG: &str = "the text is too long";
const NO_TIME: &str = "takes a time such as 12:34:56.5";

/// How many digits of a second are kept, unless fewer are declared.
const SECOND_DIGITS_MAX: usize = 6;

/// Whoever's names are longer is told: the server cuts them.
const NAME_BYTES_MAX: usize = 63;

/// What a column takes that the server would not refuse by itself, or not by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// So many characters. The server cuts blanks that are too many.
    Text(usize),
    /// So many characters, and any number of blanks after them.
    Padded(usize),
    /// So many bytes; the server cuts the rest.
    Bytes(usize),
    /// A number with so many digits before the point, and so many behind it.
    Decimal(i64, i64),
    /// A number of single precision.
    Single,
    /// A point in time, with so many digits of a second: a number of seconds or milliseconds since 1970, or
    /// text that the server reads.
    Instant(usize),
    /// A date.
    Date,
    /// A time of day, with so many digits of a second.
    Time(usize),
    /// The same with an offset.
    ZonedTime(usize),
    /// Whatever the server reads, with so many digits behind the point.
    Fraction(usize),
}

impl Fit {
    /// Of a type, as it was declared.
    pub(super) fn of(declared: &str) -> Option<Self> {
        let (name, inside, rest) = match declared.split_once('(') {
            Some((name, rest)) => {
                let (inside, rest) = rest.split_once(')').unwrap_or_default();
                (name, inside, rest)
            }
            None => (declared.split(' ').next()?, "", declared),
        };
        let mut numbers = inside.split(',').map(|number| number.trim().parse::<i64>());
        let first = numbers.next().and_then(Result::ok);
        let second = numbers.next().and_then(Result::ok).unwrap_or(0);
        let length = first.and_then(|length| usize::try_from(length).ok());
        let digits = length.unwrap_or(SECOND_DIGITS_MAX);
        let zoned = rest.ends_with(" with time zone");
        Some(match name.trim_end() {
            "character varying" => Self::Text(length?),
            "character" => Self::Padded(length?),
            "name" => Self::Bytes(NAME_BYTES_MAX),
            "\"char\"" => Self::Bytes(1),
            "numeric" => Self::Decimal(first? - second, second),
            "real" => Self::Single,
            "timestamp" => Self::Instant(digits),
            "date" => Self::Date,
            "time" if zoned => Self::ZonedTime(digits),
            "time" => Self::Time(digits),
            "money" => Self::Fraction(2),
            name if name.starts_with("interval") => Self::Fraction(digits),
            _ => return None,
        })
    }

    /// What is wrong with a value, if it does not fit; the text to be sent, if it is another than the
    /// value's own.
    pub(super) fn check(self, value: &Value) -> Result<Option<String>, &'static str> {
        let fits = |fits: bool, wrong| if fits { Ok(None) } else { Err(wrong) };
        match (self, value) {
            (Self::Text(max), Value::Text(text)) => fits(is_within(text, max), LONG),
            (Self::Padded(max), Value::Text(text)) => {
                fits(is_within(text.trim_end_matches(' '), max), LONG)
            }
            (Self::Bytes(max), Value::Text(text)) => fits(text.len() <= max, LONG),
            (Self::Bytes(_), _) => Err("takes text"),
            (Self::Decimal(before, behind), Value::Integer(number)) => {
                decimal(&number.to_string(), before, behind)
            }
            (Self::Decimal(before, behind), Value::Number(number)) => {
                decimal(number, before, behind)
            }
            (Self::Single, Value::Real(number)) => single(*number).map(|_| None),
            (Self::Instant(max), Value::Text(text)) => {
                let begins = begins_with_date(without_millennia(text)) || is_never(text);
                fits(begins, NO_INSTANT)?;
                fits(fraction(text) <= max, CUT_SECOND)
            }
            (Self::Fraction(max), Value::Text(text)) => fits(fraction(text) <= max, CUT_SECOND),
            (Self::Instant(max), Value::Integer(_) | Value::Real(_) | Value::Number(_)) => {
                let text = since_epoch(value)?.to_string();
                match fraction(&text) <= max {
                    true => Ok(Some(text)),
                    false => Err(CUT_SECOND),
                }
            }
            (Self::Date, Value::Text(text)) => fits(is_day(text), NO_DATE),
            (Self::Date, _) => Err(NO_DATE),
            (Self::Time(max) | Self::ZonedTime(max), Value::Text(text)) => {
                fits(is_time(text, matches!(self, Self::ZonedTime(_))), NO_TIME)?;
                fits(fraction(text) <= max, CUT_SECOND)
            }
            (Self::Time(_) | Self::ZonedTime(_), _) => Err(NO_TIME),
            (Self::Fraction(max), Value::Real(number)) => {
                fits(fraction(&number.to_string()) <= max, CUT_DECIMAL)
            }
            (Self::Fraction(max), Value::Number(number)) => {
                decimal(number, i64::MAX, i64::try_from(max).unwrap_or(i64::MAX))
            }
            _ => Ok(None),
        }
    }
}

fn decimal(number: &str, before: i64, behind: i64) -> Result<Option<String>, &'static str> {
    match Digits::of(number) {
        Some(digits) if digits.behind > behind => Err(CUT_DECIMAL),
        Some(digits) if digits.before > before => {
            Err("keeps fewer digits before the point than the value has")
        }
        _ => Ok(None),
    }
}

/// A date of any era, or none that ever comes.
fn is_day(text: &str) -> bool {
    let text = text.strip_suffix(" BC").unwrap_or(text);
    is_date(without_millennia(text)) || is_never(text)
}

/// Years go up to 294276.
fn without_millennia(text: &str) -> &str {
    match text.bytes().take_while(u8::is_ascii_digit).count() {
        digits @ 5..=6 => &text[digits - 4..],
        _ => text,
    }
}

fn is_never(text: &str) -> bool {
    matches!(text, "infinity" | "-infinity")
}

/// A text without a date, which the server would leave out as it does an offset.
fn is_time(text: &str, zoned: bool) -> bool {
    let (hour, rest) = text.split_once(':').unwrap_or_default();
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    !hour.is_empty()
        && digits(hour)
        && (zoned
            || rest
                .bytes()
                .all(|byte| byte.is_ascii_digit() || b":.".contains(&byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(declared: &str, value: Value, expected: Result<(), &str>) {
        let fit = Fit::of(declared).unwrap_or_else(|| panic!("{declared} takes everything"));
        match (fit.check(&value), expected) {
            (Ok(_), Ok(())) => {}
            (Err(reason), Err(part)) => assert!(reason.contains(part), "{declared}: {reason}"),
            (found, expected) => panic!("{declared}: {found:?}, not {expected:?}"),
        }
    }

    fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    fn number(number: &str) -> Value {
        Value::Number(number.into())
    }

    #[test]
    fn types_that_bend_nothing_take_everything() {
        for declared in [
            "integer",
            "numeric",
            "double precision",
            "character varying",
            "bpchar",
            "text",
            "bit(3)",
            "jsonb",
            "public.money2",
        ] {
            assert_eq!(Fit::of(declared), None, "{declared}");
        }
    }

    #[test]
    fn texts_have_their_length() {
        check("character varying(3)", text("łó🦀"), Ok(()));
        check("character varying(3)", text("abc "), Err("too long"));
        check("character(3)", text("abc "), Ok(()));
        check("character(3)", text("abcd"), Err("too long"));
        check("name", text(&"x".repeat(64)), Err("too long"));
        check("\"char\"", text("é"), Err("too long"));
        check("\"char\"", Value::Integer(12), Err("takes text"));
    }

    #[test]
    fn numbers_have_their_digits() {
        check("numeric(10,2)", number("1.0500"), Ok(()));
        check("numeric(10,2)", number("105e-2"), Ok(()));
        check("numeric(10,2)", number("1.005"), Err("behind the point"));
        check("numeric(10,2)", number("1005e-3"), Err("behind the point"));
        check("numeric(10,2)", Value::Integer(99_999_999), Ok(()));
        check(
            "numeric(10,2)",
            Value::Integer(100_000_000),
            Err("before the point"),
        );
        check("numeric(10)", number("1.5"), Err("behind the point"));
        check("numeric(5,-2)", Value::Integer(1500), Ok(()));
        check(
            "numeric(5,-2)",
            Value::Integer(150),
            Err("behind the point"),
        );
        check("numeric(2,4)", number("0.0012"), Ok(()));
        check("numeric(2,4)", number("0.012"), Err("before the point"));
        check("real", Value::Real(0.1), Ok(()));
        check("real", Value::Real(16_777_217.0), Err("single precision"));
        check("money", Value::Real(1.5), Ok(()));
        check("money", Value::Real(1.005), Err("behind the point"));
        check("money", text("$1,234.56"), Ok(()));
    }

    #[test]
    fn times_have_their_digits_and_nothing_else() {
        let at = |end: &str| text(&format!("2024-02-29T12:34:56{end}"));
        let zone = "timestamp(0) with time zone";
        check(zone, at("+01:00"), Ok(()));
        check(zone, at(".000Z"), Ok(()));
        check(zone, at(".5Z"), Err("of a second"));
        check(zone, Value::Real(1.5), Err("of a second"));
        check("timestamp without time zone", at(".123456Z"), Ok(()));
        check(
            "timestamp without time zone",
            at(".1234567"),
            Err("of a second"),
        );
        for guessed in ["now", "240229", "29/02/2024 12:34"] {
            check(
                "timestamp with time zone",
                text(guessed),
                Err("takes an instant"),
            );
        }
        check("timestamp with time zone", text("-infinity"), Ok(()));
        check("date", text("2024-02-29"), Ok(()));
        check("date", text("0044-03-15 BC"), Ok(()));
        check("date", text("12024-02-29"), Ok(()));
        check("date", text("infinity"), Ok(()));
        check("date", at("Z"), Err("takes a date"));
        check("date", Value::Integer(1_709_210_096), Err("takes a date"));
        check("time without time zone", text("12:34:56.5"), Ok(()));
        check(
            "time(0) without time zone",
            text("12:34:56.5"),
            Err("second"),
        );
        check("time without time zone", text("12:34:56+01"), Err("a time"));
        check("time without time zone", at(""), Err("a time"));
        check(
            "time without time zone",
            Value::Integer(101_010),
            Err("a time"),
        );
        check("time with time zone", text("12:34:56+01"), Ok(()));
        check("time with time zone", at("+01"), Err("a time"));
        check("interval", text("1 day 00:00:00.5"), Ok(()));
        check("interval(0)", text("0.5 s"), Err("of a second"));
    }
}
