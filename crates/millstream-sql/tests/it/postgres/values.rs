//! Values of every type, and those that do not fit.

use millstream_core::change::Op;
use millstream_testkit::suite::Site as _;
use millstream_testkit::suite::store::{Consumer, Source, event, spec};

use super::Site;

const TABLE: &str = "
    CREATE TYPE mood AS ENUM ('glad', 'sad');
    CREATE DOMAIN short AS varchar(3); CREATE DOMAIN shorter AS short CHECK (VALUE <> 'bad');
    CREATE DOMAIN euros AS numeric(10,2);
    CREATE DOMAIN second AS timestamp(0);
    CREATE TABLE things (
      number integer GENERATED ALWAYS AS IDENTITY,
      id text PRIMARY KEY,
      short varchar(3), small smallint, big bigint, exact numeric, double double precision,
      yes boolean, moment timestamptz, local timestamp, day date, key uuid, json json, jsonb jsonb,
      bytes bytea, words text[], grid integer[], mood mood,
      domain short, nested shorter, euros euros, sums euros[],
      padded char(3), money numeric(10,2), hundreds numeric(5,-2), single real,
      second timestamp(0), seconds second[], tenth timestamptz(1), clock time, span interval,
      days interval day, bits bit(3), label name, floats double precision[],
      query tsquery, words_of tsvector, path jsonpath,
      twice text GENERATED ALWAYS AS (id || id) STORED
    )";

/// Sets one column of a thing, and says what came of it.
async fn check(column: &str, value: &str, expected: &str) {
    let site = Site::make("").await;
    site.execute(TABLE).await.unwrap();
    let mut source = Source::shard(0);
    let binding = format!("{column} = data.value");
    let mappings = vec![spec(
        "thing.set",
        Op::Upsert,
        "things",
        &["id = entityId"],
        &[&binding],
    )];
    let mut consumer = Consumer::start(site.connect().await, source.feed(), mappings).await;
    let entries = source.send_all([
        &event("thing.set", "acme", "before", r#"{"value":null}"#),
        &event("thing.set", "acme", "7", &format!("{{\"value\":{value}}}")),
        &event("thing.set", "acme", "after", r#"{"value":null}"#),
    ]);
    let settled = consumer.settle(&entries).await;
    let found = if settled == "3 applied" {
        site.rows(&format!("SELECT {column} FROM things"))
            .await
            .into_iter()
            .find(|value| value != "NULL")
            .unwrap_or("NULL".into())
    } else {
        assert_eq!(settled, "2 applied, 1 dead", "{column} {value}");
        let error = site
            .rows("SELECT error FROM event_tracking WHERE status = 'failed'")
            .await;
        assert!(!error[0].contains("hunter2"), "{error:?}");
        format!("! {}", error[0])
    };
    assert!(found.starts_with(expected), "{column} {value}: {found}");
}

#[tokio::test]
async fn each_type_takes_its_values() {
    for (column, value, expected) in [
        ("small", "-32768", "-32768"),
        ("big", "9223372036854775807", "9223372036854775807"),
        (
            "exact",
            "1.10000000000000000000000000001",
            "1.10000000000000000000000000001",
        ),
        ("double", "0.1", "0.1"),
        ("yes", "true", "1"),
        (
            "moment",
            "\"2026-01-02T03:04:05.678+01:00\"",
            "2026-01-02 02:04:05.678+00",
        ),
        ("moment", "1767225600", "2026-01-01 00:00:00+00"),
        ("moment", "1767225600123", "2026-01-01 00:00:00.123+00"),
        ("local", "\"2026-01-02T03:04:05\"", "2026-01-02 03:04:05"),
        ("day", "\"2026-01-02\"", "2026-01-02"),
        ("day", "\"0044-03-15 BC\"", "0044-03-15 BC"),
        ("domain", "\"abc\"", "abc"),
        ("euros", "1.50", "1.50"),
        ("sums", "[1.5, 2]", "{1.50,2.00}"),
        ("padded", "\"abc  \"", "abc"),
        ("hundreds", "1500", "1500"),
        ("single", "0.1", "0.1"),
        (
            "second",
            "\"2026-01-02T03:04:05.000Z\"",
            "2026-01-02 03:04:05",
        ),
        ("tenth", "1767225600.5", "2026-01-01 00:00:00.5+00"),
        ("clock", "\"03:04:05.678\"", "03:04:05.678"),
        ("span", "\"1 day 00:00:00.5\"", "1 day 00:00:00.5"),
        ("days", "\"36 days\"", "36 days"),
        ("bits", "\"101\"", "101"),
        (
            "key",
            "\"0197E7B2-7e1a-7000-8000-000000000001\"",
            "0197e7b2-7e1a-7000-8000-000000000001",
        ),
        ("json", r#"{"a":  1.0}"#, r#"{"a":  1.0}"#),
        ("jsonb", r#"{"b":1,"a":[null]}"#, r#"{"a": [null], "b": 1}"#),
        ("bytes", r#""\\x00ff""#, "\\x00ff"),
        (
            "words",
            r#"["a","NULL",null,"x\"y"]"#,
            r#"{a,"NULL",NULL,"x\"y"}"#,
        ),
        ("grid", "[[1,2],[3,4]]", "{{1,2},{3,4}}"),
        ("mood", "\"glad\"", "glad"),
    ] {
        check(column, value, expected).await;
    }
}

/// An offset is never left out: a column without a zone has the time of UTC, as on every database.
#[tokio::test]
async fn a_column_without_a_zone_has_the_time_of_utc() {
    for (column, value, expected) in [
        (
            "local",
            "\"2026-01-02T03:04:05.678+01:00\"",
            "2026-01-02 02:04:05.678",
        ),
        (
            "local",
            "\"2026-01-02 03:04:05 Europe/Paris\"",
            "2026-01-02 02:04:05",
        ),
        ("local", "1767225600", "2026-01-01 00:00:00"),
        ("local", "\"infinity\"", "infinity"),
        (
            "seconds",
            "[\"2026-01-02T03:04:05+01:00\", 0]",
            "{\"2026-01-02 02:04:05\",\"1970-01-01 00:00:00\"}",
        ),
    ] {
        check(column, value, expected).await;
    }
}

/// What PostgreSQL would round, cut or leave out is refused, by column and reason.
#[tokio::test]
async fn nothing_is_rounded_or_cut() {
    for (column, value, expected) in [
        ("money", "1.005", "numeric(10,2): keeps fewer digits behind"),
        (
            "money",
            "1005e-3",
            "numeric(10,2): keeps fewer digits behind",
        ),
        ("money", "1e8", "numeric(10,2): keeps fewer digits before"),
        (
            "hundreds",
            "150",
            "numeric(5,-2): keeps fewer digits behind",
        ),
        (
            "euros",
            "1.005",
            "euros, which is numeric(10,2): keeps fewer digits behind",
        ),
        (
            "sums",
            "[1, 1.005]",
            "euros[], which is numeric(10,2)[]: keeps fewer digits behind",
        ),
        (
            "sums",
            "\"{1.005}\"",
            "euros[], which is numeric(10,2)[]: an array",
        ),
        ("single", "16777217", "real: is of single precision"),
        (
            "floats",
            "[9007199254740993]",
            "double precision[]: an element takes a number",
        ),
        (
            "second",
            "\"2026-01-02T03:04:05.5Z\"",
            "timestamp(0) without time zone: keeps fewer digits of a second",
        ),
        (
            "seconds",
            "[0.5]",
            "second[], which is timestamp(0) without time zone[]: keeps",
        ),
        (
            "tenth",
            "1767225600.25",
            "timestamp(1) with time zone: keeps fewer digits",
        ),
        (
            "moment",
            "\"2026-01-02T03:04:05.1234567Z\"",
            "timestamp with time zone: keeps fewer digits",
        ),
        ("day", "\"2026-01-02T03:04:05Z\"", "date: a date such as"),
        ("day", "1767225600", "date: a date such as"),
        (
            "clock",
            "\"2026-01-02T03:04:05\"",
            "time without time zone: a time",
        ),
        ("clock", "\"03:04:05+01\"", "time without time zone: a time"),
        ("clock", "101010", "time without time zone: a time"),
        (
            "span",
            "\"00:00:00.0000001\"",
            "interval: keeps fewer digits",
        ),
        ("days", "\"1 day 02:00:00\"", "interval day: "),
        (
            "domain",
            "\"hunter2\"",
            "short, which is character varying(3): the text is too long",
        ),
        (
            "nested",
            "\"abc \"",
            "shorter, which is character varying(3): the text is too long",
        ),
        (
            "padded",
            "\"hunter2\"",
            "character(3): the text is too long",
        ),
        (
            "label",
            &format!("\"{}\"", "x".repeat(64)),
            "name: the text is too long",
        ),
        ("bits", "\"10101\"", "bit(3): it is too long"),
    ] {
        check(
            column,
            value,
            &format!("! things.{column} takes {expected}"),
        )
        .await;
    }
}

/// A domain's own conditions name no column by themselves.
#[tokio::test]
async fn a_domain_that_refuses_a_value_is_named_with_its_column() {
    let expected = "! things.nested takes shorter, which is character varying(3): ";
    check("nested", "\"bad\"", expected).await;
}

/// The error is of that event alone, and says where, without the value.
#[tokio::test]
async fn a_value_that_does_not_fit_parks_its_event() {
    for (column, value, expected) in [
        ("small", "32768", "! things.small takes smallint: "),
        (
            "moment",
            "\"hunter2\"",
            "! things.moment takes timestamp with time zone: ",
        ),
        (
            "moment",
            "\"2026-02-30T00:00:00Z\"",
            "! things.moment takes timestamp with time zone: ",
        ),
        ("key", "\"hunter2\"", "! things.key takes uuid: "),
        (
            "short",
            "\"hunter2\"",
            "! things.short takes character varying(3): the text is too long",
        ),
        ("short", "\"a\\u0000\"", "! things.short"),
        (
            "jsonb",
            "{\"a\":\"\\u0000\"}",
            "! things.jsonb takes jsonb: ",
        ),
        ("grid", "[1,\"hunter2\"]", "! things.grid takes integer[]: "),
        ("mood", "\"hunter2\"", "! things.mood takes mood: "),
        (
            "query",
            "\"hunter2 & & b\"",
            "! things.query takes tsquery: syntax error",
        ),
        (
            "words_of",
            "\"hunter2:x\"",
            "! things.words_of takes tsvector: syntax error",
        ),
        (
            "path",
            "\"$.[hunter2\"",
            "! things.path takes jsonpath: syntax error",
        ),
    ] {
        check(column, value, expected).await;
    }
}
