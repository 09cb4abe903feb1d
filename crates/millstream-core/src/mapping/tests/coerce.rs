use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(kind: ColumnKind, json: &str, expected: &str) {
    let found = match coerce(kind, Input::from_json(json).unwrap()) {
        Ok(value) => show_value(&value),
        Err(mismatch) => format!("! {}", mismatch.found),
    };
    assert_eq!(found, expected, "{json} into {kind:?}");
}

#[test]
fn integers_lose_nothing() {
    for (json, expected) in [
        ("7", "7"),
        ("-9223372036854775808", "-9223372036854775808"),
        (
            "9223372036854775808",
            "! a number that does not fit into 64 bits",
        ),
        ("1.0", "! a number with a fraction or an exponent"),
        ("1e3", "! a number with a fraction or an exponent"),
        ("true", "1"),
        (r#""42""#, "42"),
        (r#""-42""#, "-42"),
        (r#""042""#, "! text that is not a whole number"),
        (r#""+42""#, "! text that is not a whole number"),
        (r#"" 42""#, "! text that is not a whole number"),
        (r#""""#, "! text that is not a whole number"),
        ("null", "null"),
        ("{}", "! an object"),
    ] {
        check(ColumnKind::Integer, json, expected);
    }
}

#[test]
fn numbers_keep_their_digits_where_the_column_does() {
    for (json, expected) in [
        ("7", "7"),
        ("0.10", "number 0.10"),
        (
            "123456789012345678901234567890.5",
            "number 123456789012345678901234567890.5",
        ),
        (r#""0.10""#, "number 0.10"),
        (r#""12""#, "12"),
        (r#""1,5""#, "! text that is not a number"),
        (r#"" 1""#, "! text that is not a number"),
        (r#""1 ""#, "! text that is not a number"),
        (r#""NaN""#, "! text that is not a number"),
        ("true", "! a boolean"),
    ] {
        check(ColumnKind::Numeric, json, expected);
    }
    check(ColumnKind::Real, "1", "1.0");
    check(ColumnKind::Real, "0.1", "0.1");
    check(
        ColumnKind::Real,
        "0.30000000000000004",
        "0.30000000000000004",
    );
    check(ColumnKind::Real, "1.500", "1.5");
    check(ColumnKind::Real, "9007199254740992", "9007199254740992.0");
    // One double, just between both: JavaScript writes the first, Rust the second.
    for tie in ["848961363894547.2", "848961363894547.3"] {
        check(ColumnKind::Real, tie, "848961363894547.3");
    }
    for lossy in [
        "9007199254740993",
        "0.12345678901234567890123",
        "123456789012345678901",
        &format!("0.{}", "3".repeat(100_000)),
    ] {
        check(
            ColumnKind::Real,
            lossy,
            "! a number that a double cannot hold",
        );
    }
    check(ColumnKind::Real, "1e999", "! a number out of range");
    check(ColumnKind::Real, r#""1""#, "! text");
}

#[test]
fn text_takes_everything_but_nul() {
    for (json, expected) in [
        (r#""O'Brien \"é\" ""#, "'O'Brien \"é\" '"),
        (r#""a\u0000b""#, "! text that contains NUL"),
        ("1.50", "'1.50'"),
        ("false", "'false'"),
        (r#"{"a": [1]}"#, r#"'{"a": [1]}'"#),
        ("null", "null"),
    ] {
        check(ColumnKind::Text, json, expected);
    }
}

#[test]
fn booleans_are_not_guessed() {
    for (json, expected) in [
        ("true", "true"),
        ("0", "false"),
        ("1", "true"),
        ("2", "! a number that is neither 0 nor 1"),
        ("1.0", "! a number that is neither 0 nor 1"),
        (r#""true""#, "true"),
        (r#""TRUE""#, "! text that is neither true nor false"),
        ("[]", "! an array"),
    ] {
        check(ColumnKind::Boolean, json, expected);
    }
}

#[test]
fn json_bytes_and_anything() {
    check(ColumnKind::Json, r#"{"a": 1.0}"#, r#"json {"a": 1.0}"#);
    check(ColumnKind::Json, r#""a\"b""#, r#"json "a\"b""#);
    check(ColumnKind::Json, "true", "json true");
    check(ColumnKind::Json, "null", "null");
    check(ColumnKind::Blob, r#""\\x00ff""#, "[0, 255]");
    check(ColumnKind::Blob, r#""\\x0""#, "[92, 120, 48]");
    check(ColumnKind::Blob, r#""é""#, "[195, 169]");
    check(ColumnKind::Blob, "1", "! a number");
    check(ColumnKind::Any, "1", "1");
    check(ColumnKind::Any, "0.1", "0.1");
    check(
        ColumnKind::Any,
        "0.1234567890123456789",
        "number 0.1234567890123456789",
    );
    check(
        ColumnKind::Any,
        "18446744073709551615",
        "number 18446744073709551615",
    );
    check(ColumnKind::Any, "1e999", "number 1e999");
    check(ColumnKind::Any, "true", "true");
    check(ColumnKind::Any, "[1]", "json [1]");
    check(ColumnKind::Any, r#""x""#, "'x'");
}

#[test]
fn a_mismatch_says_what_was_expected() {
    let mismatch = coerce(ColumnKind::Integer, Input::Text("hunter2".into())).unwrap_err();
    let expected = "takes a whole number, found text that is not a whole number";
    assert_eq!(mismatch.to_string(), expected);
    assert_eq!(format!("{:?}", Input::Text("hunter2".into())), "text");
}

proptest! {
    #[test]
    fn integers_come_back(integer in any::<i64>()) {
        for kind in [ColumnKind::Integer, ColumnKind::Numeric, ColumnKind::Any] {
            let text = integer.to_string();
            let value = coerce(kind, Input::Number(text.clone().into())).unwrap();
            prop_assert_eq!(value, Value::Integer(integer));
            prop_assert!(coerce(ColumnKind::Integer, Input::Text(text.into())).is_ok());
        }
    }

    #[test]
    fn doubles_come_back(real in any::<f64>().prop_filter("JSON", |real| real.is_finite())) {
        let text = serde_json::Value::from(real).to_string();
        for kind in [ColumnKind::Real, ColumnKind::Any] {
            let value = coerce(kind, Input::Number(text.clone().into())).unwrap();
            prop_assert_eq!(value, Value::Real(real));
        }
    }

    #[test]
    fn bytes_come_back(bytes in any::<Vec<u8>>()) {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let value = coerce(ColumnKind::Blob, Input::Text(format!("\\x{hex}").into())).unwrap();
        prop_assert_eq!(value, Value::Blob(bytes.into()));
    }
}
