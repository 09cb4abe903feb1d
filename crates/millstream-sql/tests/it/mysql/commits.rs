//! Transactions whose end nobody hears of, and those that others try to end.

use millstream_core::error::ErrorKind;
use millstream_core::lease::Leases as _;
use millstream_core::outbox::NewEvent;
use millstream_core::store::Store as _;
use millstream_sql::mysql::Database;
use millstream_testkit::app;
use millstream_testkit::suite::Site as _;
use millstream_testkit::suite::store::{Consumer, event};

use super::handlers::{GOES_ON, HANGING};
use super::mortal::Life;
use super::{mappings, set, things};

const THINGS: &str = "CREATE TABLE things (id VARCHAR(64) PRIMARY KEY, a INT, b INT);
                      CREATE TABLE effects (tenant_id VARCHAR(64), id VARCHAR(64))";

/// The shard row tells whether a commit got through whose answer was lost, also that of a transaction
/// which a handler worked in.
#[tokio::test]
async fn a_lost_answer_to_a_commit_is_looked_up() {
    let row = set("1", r#"{"a":1}"#);
    let credit = event("account.credited", "acme", "7", r#"{"amount":5}"#);
    check(std::slice::from_ref(&row), "0").await;
    check(&[row, credit], "5").await;
}

async fn check(events: &[NewEvent], balance: &str) {
    let (site, mut source, consumer) = things(THINGS).await;
    site.execute(
        "CREATE TABLE accounts (tenant_id VARCHAR(64), id VARCHAR(64), balance INT);
         INSERT INTO accounts VALUES ('acme', '7', 0)",
    )
    .await
    .unwrap();
    let batch = consumer.batch(&source.send_all(events));
    let life = Life::without_answers(site.address()).await;
    let deaf = Database::new(site.options_at(life.address(), &app("hr")));
    let error = deaf.apply(&consumer.lease, &batch).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");

    let checkpoint = consumer.store.checkpoint(&consumer.lease).await.unwrap();
    assert_eq!(checkpoint.as_ref(), Some(&batch.to));
    let error = consumer.apply_batch(&batch).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
    assert_eq!(site.rows("SELECT id, a FROM things").await, ["1|1"]);
    assert_eq!(site.rows("SELECT balance FROM accounts").await, [balance]);
}

/// What commits by itself is refused to a handler as a commit is.
#[tokio::test]
async fn a_handler_makes_no_table() {
    let (site, mut source, mut consumer) = things(THINGS).await;
    let entries = source.send_all([
        &set("1", r#"{"a":1}"#),
        &event("handler.creates", "acme", "2", "{}"),
    ]);
    let error = consumer.apply(&entries).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misconfigured, "{error}");
    assert!(error.to_string().contains("handler.creates"), "{error}");
    assert_eq!(site.rows("SHOW TABLES LIKE 'made'").await, [""; 0]);
    for table in ["things", "effects", "event_tracking"] {
        assert_eq!(site.rows(&format!("SELECT * FROM {table}")).await, [""; 0]);
    }
}

/// A process that stands still in its transaction loses the shard row to its successor, and what it
/// did; when it wakes up, nothing of it counts.
#[tokio::test]
async fn a_process_that_stands_still_keeps_no_row() {
    let (site, mut source, consumer) = things(THINGS).await;
    let entries = source.send_all([
        &set("1", r#"{"a":1}"#),
        &event("handler.hangs", "acme", "2", "{}"),
    ]);
    let batch = consumer.batch(&entries);
    let mut options = site.options();
    options.idle_in_transaction = std::time::Duration::from_secs(1);
    let stopped = Database::new(options);
    let again = stopped.clone();
    let (lease, hung) = (consumer.lease.clone(), batch.clone());
    let hanging = tokio::spawn(async move { stopped.apply(&lease, &hung).await });
    HANGING.notified().await;
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
