//! What is captured of MariaDB's types, and what its triggers do not see.

use millstream_core::capture::Capture as _;
use millstream_testkit::suite::Site as _;
use millstream_testkit::suite::capture::{Types, source};

use super::Database;
use super::site::is_mysql;

const TYPES: Types<'static> = Types {
    columns: &[
        ("small", "SMALLINT"),
        ("big", "BIGINT"),
        ("huge", "BIGINT UNSIGNED"),
        ("exact", "DECIMAL(65, 30)"),
        ("price", "DECIMAL(10, 2)"),
        ("double", "DOUBLE"),
        ("single", "FLOAT"),
        ("padded", "INT(5) ZEROFILL"),
        ("yes", "BOOLEAN"),
        ("words", "TEXT"),
        ("latin", "VARCHAR(50) CHARACTER SET latin1"),
        ("fixed", "CHAR(5)"),
        ("moment", "TIMESTAMP(6) NULL"),
        ("clock", "DATETIME(6)"),
        ("day", "DATE"),
        ("hour", "TIME(3)"),
        ("doc", "JSON"),
        ("bytes", "BLOB"),
        ("choice", "ENUM('a', 'b')"),
        ("key", "UUID"),
    ],
    values: &[
        ("small", "-32768", "-32768"),
        ("big", "9223372036854775807", "9223372036854775807"),
        ("huge", "9223372036854775807", "9223372036854775807"),
        ("price", "1.50", "\"1.50\""),
        (
            "exact",
            "12345678901234567890123456789012345.123456789012345678901234567890",
            "\"12345678901234567890123456789012345.123456789012345678901234567890\"",
        ),
        ("double", "0.1", "0.1"),
        ("single", "16777215", "16777215"),
        ("single", "1234567.75", "1234567.75"),
        ("padded", "42", "42"),
        ("double", "0.30000000000000004", "0.30000000000000004"),
        ("double", "1.7976931348623157e308", "1.7976931348623157e308"),
        ("double", "-2.5e-10", "-2.5e-10"),
        ("yes", "TRUE", "true"),
        ("yes", "FALSE", "false"),
        ("yes", "NULL", "null"),
        ("words", "'it''s \"a\" \\ b'", r#""it's \"a\" \\ b""#),
        ("words", "''", "\"\""),
        ("words", "'é🦀\n'", "\"é🦀\\n\""),
        ("latin", "'é'", "\"é\""),
        ("fixed", "'ab'", "\"ab\""),
        (
            "moment",
            "'2021-10-31 01:30:00.123456'",
            "\"2021-10-31T01:30:00.123456Z\"",
        ),
        (
            "clock",
            "'2021-10-31 02:30:00'",
            "\"2021-10-31T02:30:00.000000\"",
        ),
        ("day", "'2020-02-29'", "\"2020-02-29\""),
        ("hour", "'-23:59:59.5'", "\"-23:59:59.500\""),
        (
            "doc",
            "'{\"a\": [1, null, {\"b\": \"c\"}]}'",
            "{\"a\":[1,null,{\"b\":\"c\"}]}",
        ),
        ("bytes", "x'00ff41'", "\"\\\\x00ff41\""),
        ("bytes", "''", "\"\\\\x\""),
        ("choice", "'b'", "\"b\""),
        (
            "key",
            "'6f9619ff-8b86-d011-b42d-00c04fc964ff'",
            "\"6f9619ff-8b86-d011-b42d-00c04fc964ff\"",
        ),
    ],
};

/// All but the last one, which MySQL lacks.
fn known<T>(all: &[T]) -> &[T] {
    &all[..all.len() - usize::from(is_mysql())]
}

/// JSON comes back with the blanks that the server writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_type_goes_through_an_event_and_back() {
    let types = Types {
        columns: known(TYPES.columns),
        values: known(TYPES.values),
    };
    types
        .round_trip::<Database>("SET time_zone = '+00:00'")
        .await;
}

/// Formats, zones and modes of the session are its own affair.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_session_of_the_application_changes_nothing() {
    let session =
        "SET time_zone = '+05:45', sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT',
                   NAMES latin1";
    let values: Vec<_> = known(TYPES.values)
        .iter()
        .copied()
        .filter(|(column, ..)| !["moment", "words", "latin"].contains(column))
        .chain([(
            "moment",
            "'2021-10-31 07:15:00.123456'",
            "\"2021-10-31T01:30:00.123456Z\"",
        )])
        .collect();
    let types = Types {
        columns: known(TYPES.columns),
        values: &values,
    };
    types.round_trip::<Database>(session).await;
}

/// What changes rows past every trigger would be missing, and nobody would know.
#[tokio::test]
async fn what_fires_no_trigger_is_refused() {
    let site = Database::make("").await;
    site.execute(
        "CREATE TABLE parents (id VARCHAR(64) PRIMARY KEY);
         CREATE TABLE children (id VARCHAR(64) PRIMARY KEY, parent VARCHAR(64),
           CONSTRAINT of_parent FOREIGN KEY (parent) REFERENCES parents (id) ON DELETE CASCADE);
         CREATE TABLE bound (id VARCHAR(64) PRIMARY KEY, parent VARCHAR(64),
           FOREIGN KEY (parent) REFERENCES parents (id));
         CREATE TABLE plain (id VARCHAR(64) PRIMARY KEY) ENGINE = MyISAM",
    )
    .await
    .unwrap();
    let handle = site.connect().await;
    for (table, expected) in [
        ("children", "foreign key of_parent"),
        ("plain", "engine MyISAM"),
    ] {
        let error = handle.capture(&source(table)).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    handle.capture(&source("bound")).await.unwrap();
}

/// What came after the capture is told of by whoever looks at it.
#[tokio::test]
async fn what_fires_no_trigger_any_more_is_told() {
    let site = Database::make("").await;
    site.execute(
        "CREATE TABLE parents (id VARCHAR(64) PRIMARY KEY);
         CREATE TABLE children (id VARCHAR(64) PRIMARY KEY, parent VARCHAR(64))",
    )
    .await
    .unwrap();
    let handle = site.connect().await;
    handle.capture(&source("children")).await.unwrap();
    let problem = async || handle.captured().await.unwrap().remove(0).problem;
    assert_eq!(problem().await, None);
    let key = "ALTER TABLE children ADD CONSTRAINT of_parent FOREIGN KEY (parent)
               REFERENCES parents (id) ON DELETE";
    site.execute(&format!("{key} CASCADE")).await.unwrap();
    let told = problem().await.unwrap();
    assert!(told.contains("foreign key of_parent"), "{told}");
    let drop = "ALTER TABLE children DROP FOREIGN KEY of_parent";
    site.execute(drop).await.unwrap();
    site.execute(&format!("{key} RESTRICT")).await.unwrap();
    assert_eq!(problem().await, None);
    site.execute(drop).await.unwrap();
    site.execute("ALTER TABLE children ENGINE = MyISAM")
        .await
        .unwrap();
    let told = problem().await.unwrap();
    assert!(told.contains("engine MyISAM"), "{told}");
}

/// A REPLACE deletes, an update on a duplicate updates, an ignored insert does nothing.
#[tokio::test]
async fn rows_are_captured_whichever_way_they_change() {
    let site = Database::make("").await;
    site.execute("CREATE TABLE people (id VARCHAR(64) PRIMARY KEY, email VARCHAR(64) UNIQUE)")
        .await
        .unwrap();
    site.connect()
        .await
        .capture(&source("people"))
        .await
        .unwrap();
    site.execute(
        "INSERT INTO people VALUES ('1', 'a');
         INSERT IGNORE INTO people VALUES ('1', 'b');
         INSERT INTO people VALUES ('2', 'a') ON DUPLICATE KEY UPDATE email = 'c';
         REPLACE INTO people VALUES ('3', 'c')",
    )
    .await
    .unwrap();
    let rows = "SELECT event_type, entity_id, JSON_VALUE(event_data, '$.email') FROM outbox
                ORDER BY id";
    assert_eq!(
        site.rows(rows).await,
        [
            "person.created|1|a",
            "person.updated|1|c",
            "person.deleted|1|c",
            "person.created|3|c",
        ]
    );
}

/// A row is named alike in every zone, and bytes are no text.
#[tokio::test]
async fn keys_are_the_same_texts_in_every_session() {
    for (kind, key) in [
        ("TIMESTAMP", "'2026-01-01 10:00:00'"),
        ("BINARY(4)", "x'01ff00fe'"),
    ] {
        let site = Database::make("").await;
        site.execute(&format!("CREATE TABLE days (id {kind} PRIMARY KEY, n INT)"))
            .await
            .unwrap();
        let handle = site.connect().await;
        handle.capture(&source("days")).await.unwrap();
        site.execute(&format!(
            "SET time_zone = '+00:00'; INSERT INTO days VALUES ({key}, 1);
             SET time_zone = '+05:00'; UPDATE days SET n = 2"
        ))
        .await
        .unwrap();
        let keys = "SELECT count(DISTINCT entity_id), count(*) FROM outbox";
        assert_eq!(site.rows(keys).await, ["1|2"], "{kind}");
    }
}
