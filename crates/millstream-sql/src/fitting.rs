//! Whether a column keeps all of a value, in words that all servers share.
//!
//! A server rounds, cuts and guesses where nobody asked it to: what would be lost is looked for before a
//! value is sent.

use millstream_core::value::Value;

/// Numbers from here on are milliseconds since 1970, below it seconds: the year 5138, or 1973.
const MILLISECONDS_MIN: u64 = 100_000_000_000;

pub(crate) const CUT_SECOND: &str = "keeps fewer digits of a second than the value has";
pub(crate) const CUT_DECIMAL: &str = "keeps fewer digits behind the point than the value has";
pub(crate) const CUT_SINGLE: &str = "is of single precision, which cannot hold the value";
pub(crate) const NO_DATE: &str = "takes a date such as 2024-02-29";
pub(crate) const NO_INSTANT: &str =
    "takes an instant: RFC 3339 text, or seconds or milliseconds since 1970";

/// Where the first and the last digit of a number stand that are not zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digits {
    /// So many are before the point: 2 of `12.5`, -1 of `0.012`.
    pub(crate) before: i64,
    /// So many are behind it: 3 of `1.005`, -2 of `1500`.
    pub(crate) behind: i64,
}

impl Digits {
    /// Of a number as JSON writes it; none of zero.
    pub(crate) fn of(number: &str) -> Option<Self> {
        let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
        // One that no 64 bits hold is far beyond every column.
        let negative = exponent.starts_with('-');
        let far = if negative { i64::MIN / 4 } else { i64::MAX / 4 };
        let exponent: i64 = exponent.parse().unwrap_or(far);
        let exponent = exponent.clamp(i64::MIN / 4, i64::MAX / 4);
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let point = length(whole.trim_start_matches(['-', '+']));
        let mut digits = whole.bytes().chain(fraction.bytes());
        let is_digit = |byte: &u8| byte.is_ascii_digit();
        let significant = |byte: u8| byte != b'0';
        let first = digits
            .by_ref()
            .filter(is_digit)
            .position(significant)
            .map(length_of)?;
        let behind_first = digits.filter(is_digit).map(significant);
        let last = behind_first
            .enumerate()
            .filter(|&(_, significant)| significant)
            .last()
            .map_or(first, |(at, _)| first + 1 + length_of(at));
        Some(Self {
            before: point - first + exponent,
            behind: last + 1 - point - exponent,
        })
    }
}

fn length(text: &str) -> i64 {
    length_of(text.len())
}

fn length_of(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX / 4)
}

/// A number of single precision: the same one, or the one that the same decimal stands for.
#[expect(
    clippy::cast_possible_truncation,
    reason = "what is lost is what is looked for"
)]
pub(crate) fn single(number: f64) -> Result<f32, &'static str> {
    let single = number as f32;
    match f64::from(single) == number || single.to_string() == number.to_string() {
        true => Ok(single),
        false => Err(CUT_SINGLE),
    }
}

/// Whether a text has no more characters than that.
pub(crate) fn is_within(text: &str, characters_max: usize) -> bool {
    text.len() <= characters_max || text.chars().count() <= characters_max
}

/// How many digits of a second a text has, without zeros at their end.
pub(crate) fn fraction(text: &str) -> usize {
    let (_, behind) = text.rsplit_once('.').unwrap_or_default();
    let end = behind
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(behind.len());
    behind[..end].trim_end_matches('0').len()
}

/// The moment that a number names: seconds since 1970, or milliseconds, which no moment between 1973 and
/// 5138 confuses. Nothing of it is rounded.
pub(crate) fn since_epoch(value: &Value) -> Result<jiff::Timestamp, &'static str> {
    let number = match value {
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => number.to_string(),
        Value::Number(number) => number.to_string(),
        _ => return Err(NO_INSTANT),
    };
    moment(&number).ok_or("takes an instant: the number is out of range")
}

fn moment(number: &str) -> Option<jiff::Timestamp> {
    let (sign, number) = match number.strip_prefix('-') {
        Some(number) => (-1, number),
        None => (1, number),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole: u64 = whole.parse().ok()?;
    let digits = if whole < MILLISECONDS_MIN { 9 } else { 6 };
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > digits {
        return None;
    }
    let fraction: i128 = format!("{fraction:0<digits$}").parse().ok()?;
    let unit = if whole < MILLISECONDS_MIN {
        1_000_000_000
    } else {
        1_000_000
    };
    jiff::Timestamp::from_nanosecond(sign * (i128::from(whole) * unit + fraction)).ok()
}

/// Whether a text is a date and nothing else: `2024-02-29`.
pub(crate) fn is_date(text: &str) -> bool {
    const FORM: &[u8] = b"0000-00-00";
    let same = |(own, form): (u8, &u8)| match form {
        b'0' => own.is_ascii_digit(),
        _ => own == *form,
    };
    text.len() == FORM.len() && text.bytes().zip(FORM).all(same)
}

/// Whether a text begins with a date, so that no server guesses which parts of it are what.
pub(crate) fn begins_with_date(text: &str) -> bool {
    is_date(text.split(['T', 't', ' ']).next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_counted_from_the_point() {
        for (number, before, behind) in [
            ("1", 1, 0),
            ("1500", 4, -2),
            ("-12.50", 2, 1),
            ("1.005", 1, 3),
            ("0.012", -1, 3),
            ("1005e-3", 1, 3),
            ("1.005E+3", 4, 0),
            ("0.5e1", 1, 0),
            ("100.0", 3, -2),
        ] {
            let digits = Digits { before, behind };
            assert_eq!(Digits::of(number), Some(digits), "{number}");
        }
        assert_eq!(Digits::of("-0.00"), None);
        let far = Digits::of("1e-99999999999999999999").unwrap();
        assert!(far.behind > 1_000_000, "{far:?}");
    }

    #[test]
    fn digits_of_a_second_end_with_an_offset() {
        for (text, digits) in [
            ("2024-02-29T12:34:56Z", 0),
            ("2024-02-29T12:34:56.120+01:00", 2),
            ("12:34:56.0000001", 7),
            ("12:34:56.500", 1),
        ] {
            assert_eq!(fraction(text), digits, "{text}");
        }
    }

    #[test]
    fn numbers_name_moments_to_the_last_digit() {
        for (value, expected) in [
            (Value::Integer(0), "1970-01-01T00:00:00Z"),
            (Value::Integer(-1), "1969-12-31T23:59:59Z"),
            (
                Value::Integer(1_767_225_600_123),
                "2026-01-01T00:00:00.123Z",
            ),
            (Value::Real(-0.5), "1969-12-31T23:59:59.5Z"),
            (Value::Real(1_767_225_600.1), "2026-01-01T00:00:00.1Z"),
            (
                Value::Number("1767225600.123456789".into()),
                "2026-01-01T00:00:00.123456789Z",
            ),
        ] {
            assert_eq!(since_epoch(&value).unwrap().to_string(), expected);
        }
        for value in [
            Value::Integer(i64::MAX),
            Value::Number("1767225600.1234567891".into()),
            Value::Number("17e99".into()),
            Value::Bool(true),
        ] {
            since_epoch(&value).unwrap_err();
        }
    }

    #[test]
    fn a_date_has_no_time() {
        assert!(is_date("2024-02-29"));
        for other in [
            "2024-02-29T00:00:00Z",
            "10:11:12.5",
            "24-02-29",
            "20240229",
            "",
        ] {
            assert!(!is_date(other), "{other}");
        }
        for moment in [
            "2024-02-29",
            "2024-02-29 12:34",
            "2024-02-29T12:34:56+01:00",
        ] {
            assert!(begins_with_date(moment), "{moment}");
        }
        for other in ["240229", "10:11:12.5", "now", "29/02/2024 12:34"] {
            assert!(!begins_with_date(other), "{other}");
        }
    }

    #[test]
    fn a_decimal_may_stand_for_a_single() {
        for number in [0.1, 0.5, 16_777_216.0, -1.5e10] {
            single(number).unwrap();
        }
        for number in [0.123_456_789_012, 16_777_217.0, 1e300] {
            single(number).unwrap_err();
        }
    }
}
