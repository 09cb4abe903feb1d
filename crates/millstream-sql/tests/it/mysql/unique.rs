//! Tables with several ways to name a row.

use millstream_core::error::ErrorKind;
use millstream_core::store::Store as _;
use millstream_testkit::suite::Site as _;

use super::site::is_mysql;
use super::{Database, set, things};

/// `ON DUPLICATE KEY UPDATE` would take the value's owner for the row that is meant.
#[tokio::test]
async fn a_unique_value_of_another_row_is_a_conflict() {
    for size in [1, 5] {
        let (site, mut source, mut consumer) =
            things("CREATE TABLE things (id VARCHAR(64) PRIMARY KEY, a VARCHAR(64) UNIQUE, b INT)")
                .await;
        let entries = source.send_all([
            &set("1", r#"{"a":"x","b":1}"#),
            &set("2", r#"{"a":"x","b":2}"#),
            &set("3", r#"{"a":"y","b":3}"#),
            &set("1", r#"{"a":"z"}"#),
            &set("4", r#"{"a":"x","b":4}"#),
        ]);
        for batch in entries.chunks(size) {
            consumer.settle(batch).await;
        }
        let found = site.rows("SELECT id, a, b FROM things ORDER BY id").await;
        assert_eq!(found, ["1|z|1", "3|y|3", "4|x|4"], "{size} in a batch");
        let reasons = site.rows("SELECT reason FROM dead_letters").await;
        let expected = "write to things: another row has this value of the unique key 'a'";
        assert_eq!(reasons, [expected]);
    }
}

/// What the database computes is its own, and so are the columns that no mapping names.
#[tokio::test]
async fn other_columns_are_left_alone() {
    let (site, mut source, mut consumer) = things(
        "CREATE TABLE things (
           number INT AUTO_INCREMENT UNIQUE, id VARCHAR(64) PRIMARY KEY, a INT,
           b VARCHAR(64), twice INT AS (a * 2) STORED, note VARCHAR(9) DEFAULT 'none',
           made TIMESTAMP(6) DEFAULT current_timestamp(6))",
    )
    .await;
    let entries = source.send_all([&set("1", r#"{"a":1}"#), &set("2", r#"{"a":4,"b":"x"}"#)]);
    assert_eq!(consumer.settle(&entries).await, "2 applied");
    site.execute("UPDATE things SET note = 'mine' WHERE id = '1'")
        .await
        .unwrap();
    let entries = source.send_all([&set("1", r#"{"a":5}"#)]);
    assert_eq!(consumer.settle(&entries).await, "1 applied");
    let found = "SELECT number > 0, id, a, b, twice, note FROM things ORDER BY id";
    assert_eq!(
        site.rows(found).await,
        ["1|1|5|NULL|10|mine", "1|2|4|x|8|none"]
    );
}

/// A trigger of the application sees each change in its turn, in one batch or in several, on its own table
/// and on one that it is not on.
#[tokio::test]
async fn the_application_s_triggers_see_each_change() {
    for size in [1, 4] {
        let (site, mut source, mut consumer) = things(
            "CREATE TABLE things (id VARCHAR(64) PRIMARY KEY, a INT, b INT);
             CREATE TABLE seen (number INT AUTO_INCREMENT PRIMARY KEY, what VARCHAR(64));
             CREATE TRIGGER made AFTER INSERT ON things FOR EACH ROW
               INSERT INTO seen (what) VALUES (concat('+', NEW.id, '=', NEW.a));
             CREATE TRIGGER changed AFTER UPDATE ON things FOR EACH ROW
               INSERT INTO seen (what) VALUES (concat(OLD.a, '>', NEW.a));
             CREATE TRIGGER gone AFTER DELETE ON things FOR EACH ROW
               INSERT INTO seen (what) VALUES (concat('-', OLD.id))",
        )
        .await;
        let entries = source.send_all([
            &set("1", r#"{"a":1}"#),
            &set("2", r#"{"a":2}"#),
            &set("1", r#"{"a":3}"#),
            &super::event("thing.left", "acme", "2", "{}"),
        ]);
        for batch in entries.chunks(size) {
            consumer.settle(batch).await;
        }
        let seen = site.rows("SELECT what FROM seen ORDER BY number").await;
        assert_eq!(seen, ["+1=1", "+2=2", "1>3", "-2"], "{size} in a batch");
    }
}

/// What is written to it could not be rolled back.
#[tokio::test]
async fn a_table_without_transactions_is_refused() {
    let site = Database::make("").await;
    let engines = match is_mysql() {
        true => &["MyISAM"][..],
        false => &["MyISAM", "Aria"],
    };
    for &engine in engines {
        let make = format!("CREATE TABLE {engine} (id VARCHAR(64) PRIMARY KEY) ENGINE = {engine}");
        site.execute(&make).await.unwrap();
        let described = site.connect().await.tables(&[engine.into()]).await;
        let error = described.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misconfigured, "{error}");
        assert!(
            error.to_string().contains(&format!("engine {engine}")),
            "{error}"
        );
    }
}
