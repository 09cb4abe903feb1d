//! Keys that SQLite makes equal though they are not the same value.

use millstream_testkit::suite::Site;

use super::{set, things};

/// Rows are folded by the values of their keys: where a column bends them, no row may be folded.
#[tokio::test]
async fn keys_that_a_column_makes_equal_keep_their_order() {
    for (declared, ids) in [
        ("NUMERIC", ["100", "1e2"]),
        ("STRING", ["7", "007"]),
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
