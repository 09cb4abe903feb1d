//! Keys that SQLite makes equal though they are not the same value.

use millstream_core::store::Store;
use millstream_testkit::suite::Site;

use super::{set, things};

/// Rows are folded by the values of their keys: where a column bends them, no row may be folded.
#[tokio::test]
async fn keys_that_a_column_makes_equal_keep_their_order() {
    for (declared, ids) in [
        ("TEXT COLLATE NOCASE", ["a", "A"]),
        ("TEXT COLLATE RTRIM", ["a", "a "]),
    ] {
        for size in [1, 3] {
            let tables = format!("CREATE TABLE things (id {declared} PRIMARY KEY, a TEXT, b TEXT)");
            let (site, mut source, mut consumer) = things(&tables).await;
            let events = [
                set(ids[0], r#"{"a":"1"}"#),
                set(ids[1], r#"{"a":"2"}"#),
                set(ids[0], r#"{"a":"3"}"#),
            ];
            for batch in source.send_all(&events).chunks(size) {
                consumer.settle(batch).await;
            }
            let found = site.rows("SELECT a FROM things").await;
            assert_eq!(found, ["3"], "{declared}, {size} in a batch");
        }
    }
}

/// A type that SQLite does not know makes numbers of texts: such a column cannot be a key.
#[tokio::test]
async fn a_column_that_bends_ids_is_said_to() {
    for (declared, bends) in [
        ("NUMERIC", true),
        ("STRING", true),
        ("UUID", true),
        ("REAL", true),
        ("", true),
        ("TEXT", false),
        ("VARCHAR(64)", false),
        ("INTEGER", false),
    ] {
        let tables = format!("CREATE TABLE keyed (id {declared} PRIMARY KEY)");
        let site = super::File::make("").await;
        site.execute(&tables).await.unwrap();
        let store = site.connect().await;
        let described = store.tables(&["keyed".into()]).await.unwrap();
        let table = described[0].as_ref().unwrap();
        assert_eq!(table.columns[0].bends, bends, "{declared:?}");
    }
}
