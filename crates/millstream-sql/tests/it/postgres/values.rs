//! Values of every type, and those that do not fit.

use millstream_core::change::Op;
use millstream_testkit::suite::Site as _;
use millstream_testkit::suite::store::{Consumer, Source, event, spec};

use super::Site;

const TABLE: &str = "
    CREATE TYPE mood AS ENUM ('glad', 'sad');
    CREATE TABLE things (
      number integer GENERATED ALWAYS AS IDENTITY,
      id text PRIMARY KEY,
      short varchar(3), small smallint, big bigint, exact numeric, double double precision,
      yes boolean, moment timestamptz, local timestamp, day date, key uuid, json json, jsonb jsonb,
      bytes bytea, words text[], grid integer[], mood mood,
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
        ("day", "1767225600", "2026-01-01"),
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
    ] {
        check(column, value, expected).await;
    }
}
