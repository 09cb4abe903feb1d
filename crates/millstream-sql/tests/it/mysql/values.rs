//! What columns of each type store.

use millstream_testkit::suite::Site as _;

use super::site::is_mysql;
use super::{set, things};

/// The column's type, the event's value as JSON, and what is there then.
#[tokio::test]
async fn values_are_stored_without_loss() {
    for (declared, json, stored) in [
        ("BIGINT", "9223372036854775807", "9223372036854775807"),
        ("TINYINT", "-128", "-128"),
        ("TINYINT(1)", "true", "1"),
        (
            "DECIMAL(38, 10)",
            "1234567890123456789012345678.0123456789",
            "1234567890123456789012345678.0123456789",
        ),
        ("DOUBLE", "0.1", "0.1"),
        ("VARCHAR(64)", "\"Łódź 🦀 'x' \\\\ \"", "Łódź 🦀 'x' \\ "),
        ("LONGTEXT", "\"x\"", "x"),
        (
            "JSON",
            "{\"b\" : 1.50,\"a\":[ ]}",
            "{\"b\" : 1.50,\"a\":[ ]}",
        ),
        ("DATE", "\"2024-02-29\"", "2024-02-29"),
        (
            "DATETIME(6)",
            "\"2024-02-29 12:34:56.123456\"",
            "2024-02-29 12:34:56.123456",
        ),
        (
            "DATETIME(3)",
            "\"2024-02-29T12:34:56.789+01:00\"",
            "2024-02-29 11:34:56.789",
        ),
        ("TIMESTAMP", "1709210096", "2024-02-29 12:34:56"),
        ("DATETIME(3)", "1709210096789", "2024-02-29 12:34:56.789"),
        ("DECIMAL(10, 2)", "100e-2", "1.00"),
        ("TIME(1)", "\"-12:34:56.7\"", "-12:34:56.7"),
        ("YEAR", "1970", "1970"),
        ("SET('a', 'b')", "\"b,a\"", "a,b"),
        ("FLOAT", "0.5", "0.5"),
        ("BLOB", "\"\\\\x00ff\"", "\u{0}\u{fffd}"),
        (
            "UUID",
            "\"123e4567-e89b-12d3-a456-426614174000\"",
            "123e4567-e89b-12d3-a456-426614174000",
        ),
        ("INT", "null", "NULL"),
    ] {
        if declared == "UUID" && is_mysql() {
            continue;
        }
        let table =
            format!("CREATE TABLE things (id VARCHAR(64) PRIMARY KEY, a {declared}, b INT)");
        let (site, mut source, mut consumer) = things(&table).await;
        let entries = source.send_all([
            &set("1", "{\"b\":1}"),
            &set("2", &format!("{{\"a\":{json}}}")),
            &set("3", "{\"a\":null}"),
        ]);
        assert_eq!(consumer.settle(&entries).await, "3 applied", "{declared}");
        let found = site.rows("SELECT a FROM things WHERE id = '2'").await;
        assert_eq!(found, [stored], "{declared}");
    }
}

/// That event is dead, by column and reason and without the value; the others are applied.
#[tokio::test]
async fn a_value_that_does_not_fit_is_its_event_s_own_fault() {
    for (declared, json) in [
        ("TINYINT", "300"),
        ("INT UNSIGNED", "-1"),
        ("VARCHAR(3)", "\"hunter2\""),
        ("VARCHAR(3)", "\"abc \""),
        ("DATE", "\"2024-02-30\""),
        ("DATE", "\"2024-02-29T12:00:00Z\""),
        ("DATETIME", "\"2024-02-29T12:00:00.5Z\""),
        ("DECIMAL(10, 2)", "1.005"),
        ("DECIMAL(10, 2)", "1005e-3"),
        ("DOUBLE(5, 2)", "1.005"),
        ("TIME", "\"12:00:00.7\""),
        ("TIME", "101010"),
        ("DATE", "\"10:11:12.5\""),
        ("DATETIME", "\"10:11:12.5\""),
        ("YEAR", "70"),
        ("ENUM('a', 'b')", "\"2\""),
        ("SET('a', 'b')", "3"),
        ("DATETIME", "\"10:11:12.5\""),
        ("DATETIME", "\"hunter2\""),
        ("ENUM('a', 'b')", "\"hunter2\""),
        ("UUID", "\"hunter2\""),
        ("INT NOT NULL DEFAULT 1", "null"),
        ("INT CHECK (a > 7)", "2"),
        ("VARCHAR(64) CHARACTER SET latin1", "\"hunter2 🦀\""),
    ] {
        if declared == "UUID" && is_mysql() {
            continue;
        }
        let table =
            format!("CREATE TABLE things (id VARCHAR(64) PRIMARY KEY, a {declared}, b INT)");
        let (site, mut source, mut consumer) = things(&table).await;
        let entries = source.send_all([
            &set("1", "{\"b\":1}"),
            &set("2", &format!("{{\"a\":{json},\"b\":2}}")),
            &set("3", "{\"b\":3}"),
        ]);
        let settled = consumer.settle(&entries).await;
        assert_eq!(settled, "2 applied, 1 dead", "{declared}");
        assert_eq!(
            site.rows("SELECT id FROM things").await,
            ["1", "3"],
            "{declared}"
        );
        let reason = site.rows("SELECT reason FROM dead_letters").await.remove(0);
        assert!(!reason.contains("hunter2"), "{reason}");
        let column = ["a", "`a`", "'a'", "`things`.`a`", "things.a"];
        assert!(
            column.iter().any(|column| reason.contains(column)),
            "{reason}"
        );
    }
}

/// One whose row belongs into no partition of the table is its event's own fault too.
#[tokio::test]
async fn a_row_without_a_partition_is_its_event_s_own_fault() {
    let table = "CREATE TABLE things (id INT PRIMARY KEY, a INT, b INT)
                 PARTITION BY RANGE (id) (PARTITION low VALUES LESS THAN (10))";
    let (site, mut source, mut consumer) = things(table).await;
    let entries = source.send_all([&set("1", "{\"a\":1}"), &set("17", "{\"a\":2}")]);
    assert_eq!(consumer.settle(&entries).await, "1 applied, 1 dead");
    let reason = site.rows("SELECT reason FROM dead_letters").await.remove(0);
    assert!(reason.contains("no partition"), "{reason}");
    assert!(!reason.contains("17"), "{reason}");
}
