//! An owner that stands still in its transaction.

use millstream_core::error::ErrorKind;
use millstream_core::store::Store as _;
use millstream_testkit::suite::Site as _;
use millstream_testkit::suite::store::{Consumer, event};

use super::handlers::{GOES_ON, HANGING};
use super::{mappings, set, things};

const THINGS: &str = "CREATE TABLE things (id text PRIMARY KEY, a integer, b integer);
                      CREATE TABLE effects (tenant_id text, id text)";

/// The server ends its transaction, its successor goes on, and when it wakes up nothing of it counts.
#[tokio::test]
async fn a_process_that_stands_still_keeps_no_row() {
    let (site, mut source, consumer) = things(THINGS).await;
    let entries = source.send_all([
        &set("1", r#"{"a":1}"#),
        &event("handler.hangs", "acme", "2", "{}"),
    ]);
    let batch = consumer.batch(&entries);
    let stopped = site.with_setting("idle_in_transaction_session_timeout=300");
    let again = stopped.clone();
    let (lease, hung) = (consumer.lease.clone(), batch.clone());
    let hanging = tokio::spawn(async move { stopped.apply(&lease, &hung).await });
    HANGING.notified().await;

    // It waits for the shard's row until the server has taken that away.
    let mut next = Consumer::start(site.connect().await, source.feed(), mappings()).await;
    assert_eq!(next.at, batch.from);
    assert_eq!(next.settle(&entries[..1]).await, "1 applied");
    assert_eq!(site.rows("SELECT * FROM effects").await, [""; 0]);

    GOES_ON.notify_one();
    let error = hanging.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let error = again.apply(&consumer.lease, &batch).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
    assert_eq!(site.rows("SELECT * FROM effects").await, [""; 0]);
    assert_eq!(site.rows("SELECT id, a FROM things").await, ["1|1"]);
}
