//! Rows that somebody else holds.

use std::time::Duration;

use millstream_core::error::ErrorKind;
use millstream_core::lease::Leases as _;
use millstream_sql::mysql::Database;
use millstream_testkit::suite::Site as _;
use millstream_testkit::suite::store::Consumer;
use mysql_async::prelude::Queryable as _;

use super::{mappings, set, things};

/// The server undoes the one statement that waited too long and leaves the transaction open: nothing of
/// it may be committed, and no event is to blame.
#[tokio::test]
async fn a_lock_that_takes_too_long_undoes_the_whole_batch() {
    let (site, mut source, _) =
        things("CREATE TABLE things (id VARCHAR(64) PRIMARY KEY, a INT, b INT)").await;
    let mut options = site.options();
    options.lock_wait = Duration::from_secs(1);
    let store = Database::new(options);
    let mut consumer = Consumer::start(store, source.feed(), mappings()).await;
    let first = [source.send(&set("locked", r#"{"a":1}"#))];
    assert_eq!(consumer.settle(&first).await, "1 applied");

    let mut application = site.open().await;
    let lock = "START TRANSACTION; UPDATE things SET b = 7 WHERE id = 'locked'";
    application.query_drop(lock).await.unwrap();
    let entries = source.send_all([
        &set("free", r#"{"a":2}"#),
        &super::event("thing.left", "acme", "locked", "{}"),
    ]);
    let error = consumer.apply(&entries).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert_eq!(site.rows("SELECT id FROM things").await, ["locked"]);
    assert_eq!(
        site.rows("SELECT count(*) FROM event_tracking").await,
        ["1"]
    );
    let checkpoint = consumer.store.checkpoint(&consumer.lease).await.unwrap();
    assert_eq!(checkpoint, Some(consumer.at.clone()));

    application.query_drop("COMMIT").await.unwrap();
    assert_eq!(consumer.settle(&entries).await, "2 applied");
    assert_eq!(site.rows("SELECT id FROM things").await, ["free"]);
}
