//! What is captured of whatever a column of SQLite stores.

use millstream_core::capture::Capture as _;
use millstream_testkit::suite::Site as _;
use millstream_testkit::suite::capture::{Types, source};

use super::File;

const TYPES: Types<'static> = Types {
    columns: &[
        ("whole", "INTEGER"),
        ("broken", "REAL"),
        ("yes", "BOOLEAN"),
        ("words", "TEXT"),
        ("folded", "TEXT COLLATE NOCASE"),
        ("doc", "JSON"),
        ("bytes", "BLOB"),
        ("any", ""),
    ],
    values: &[
        ("whole", "9223372036854775807", "9223372036854775807"),
        ("broken", "0.1", "0.1"),
        ("broken", "0.1 + 0.2", "0.30000000000000004"),
        ("broken", "1.0", "1.0"),
        ("broken", "1.7976931348623157e308", "1.7976931348623157e308"),
        ("broken", "-2.5e-10", "-2.5e-10"),
        ("yes", "1", "true"),
        ("yes", "0", "false"),
        ("yes", "NULL", "null"),
        ("words", "'it''s \"a\" \\ b'", r#""it's \"a\" \\ b""#),
        ("words", "''", "\"\""),
        ("words", "'é🦀' || char(10)", "\"é🦀\\n\""),
        ("folded", "'Ann'", "\"Ann\""),
        (
            "doc",
            "'{\"a\":[1,null,{\"b\":\"c\"}]}'",
            "{\"a\":[1,null,{\"b\":\"c\"}]}",
        ),
        ("bytes", "x'00ff41'", "\"\\\\x00ff41\""),
        ("bytes", "x''", "\"\\\\x\""),
        ("any", "'text'", "\"text\""),
        ("any", "5", "5"),
    ],
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_type_goes_through_an_event_and_back() {
    TYPES.round_trip::<File>("").await;
}

/// What JSON has no number for is told in words, and the application's statement succeeds.
#[tokio::test]
async fn an_infinite_number_is_told_in_words() {
    let site = File::make("").await;
    site.execute("CREATE TABLE things (id TEXT PRIMARY KEY, x REAL)")
        .await
        .unwrap();
    let handle = site.connect().await;
    handle.capture(&source("things")).await.unwrap();
    site.execute("INSERT INTO things VALUES ('7', 9e999), ('8', -9e999)")
        .await
        .unwrap();
    let rows = "SELECT json_extract(event_data, '$.x') FROM outbox ORDER BY id";
    assert_eq!(site.rows(rows).await, ["Infinity", "-Infinity"]);
}

/// Of its own key; other ways of an upsert too.
#[tokio::test]
async fn a_replaced_row_is_told_with_all_of_it() {
    let site = File::make("").await;
    site.execute("CREATE TABLE things (id TEXT PRIMARY KEY, x INTEGER)")
        .await
        .unwrap();
    let handle = site.connect().await;
    handle.capture(&source("things")).await.unwrap();
    site.execute(
        "INSERT INTO things VALUES ('7', 1);
         INSERT OR REPLACE INTO things VALUES ('7', 2);
         INSERT OR IGNORE INTO things VALUES ('7', 3);
         INSERT INTO things VALUES ('7', 4) ON CONFLICT (id) DO UPDATE SET x = excluded.x",
    )
    .await
    .unwrap();
    let rows = "SELECT event_type, json_extract(event_data, '$.x') FROM outbox ORDER BY id";
    assert_eq!(
        site.rows(rows).await,
        ["person.created|1", "person.created|2", "person.updated|4"]
    );
}

/// A clause of the application's statement reaches ours: what the outbox refuses is not passed over.
#[tokio::test]
async fn an_event_is_not_ignored_with_its_statement() {
    let site = File::make("").await;
    site.execute("CREATE TABLE things (id TEXT PRIMARY KEY, x TEXT)")
        .await
        .unwrap();
    let handle = site.connect().await;
    handle.capture(&source("things")).await.unwrap();
    for clause in [
        "INSERT",
        "INSERT OR IGNORE",
        "INSERT OR REPLACE",
        "INSERT OR FAIL",
    ] {
        let large = format!("{clause} INTO things VALUES ('7', hex(zeroblob(150000)))");
        site.execute(&large).await.unwrap_err();
        assert_eq!(
            site.rows("SELECT id FROM things").await,
            [""; 0],
            "{clause}"
        );
    }
    site.execute("INSERT INTO things VALUES ('7', 'a')")
        .await
        .unwrap();
    let large = "UPDATE OR IGNORE things SET x = hex(zeroblob(150000))";
    site.execute(large).await.unwrap_err();
    assert_eq!(site.rows("SELECT x FROM things").await, ["a"]);
}
