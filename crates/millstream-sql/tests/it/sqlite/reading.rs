//! Programs that read for a long time.

use std::fs;

use super::{set, things};

const BATCHES: i64 = 60;

/// They see what was there when they began, hold up nobody, and when they end the write-ahead log is
/// written from its beginning again.
#[tokio::test]
async fn a_long_reader_holds_up_nobody() {
    let (site, mut source, mut consumer) =
        things("CREATE TABLE things (id TEXT PRIMARY KEY, a TEXT, b TEXT)").await;
    let log = site.path().with_extension("db-wal");
    let length = || fs::metadata(&log).unwrap().len();
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(100_000));
    let reader = site.open();
    reader.execute_batch("BEGIN").unwrap();
    let count = |db: &rusqlite::Connection| -> i64 {
        db.query_row("SELECT count(*) FROM things", [], |row| row.get(0))
            .unwrap()
    };
    assert_eq!(count(&reader), 0);
    let mut apply = async |from: i64| {
        for n in from..from + BATCHES {
            let entries = [source.send(&set(&n.to_string(), &large))];
            assert_eq!(consumer.settle(&entries).await, "1 applied");
        }
    };
    apply(0).await;
    assert_eq!(count(&reader), 0);
    let grown = length();
    assert!(
        grown > 5_000_000,
        "nothing of it could be taken over: {grown}"
    );

    reader.execute_batch("COMMIT").unwrap();
    apply(BATCHES).await;
    apply(2 * BATCHES).await;
    assert_eq!(count(&reader), 3 * BATCHES);
    // A batch may come on top before the log is taken over.
    assert!(length() < grown + 1_000_000, "{} after {grown}", length());
}
