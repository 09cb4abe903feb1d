//! A server that is killed while it applies a batch.

use std::time::Duration;

use millstream_core::error::ErrorKind;
use millstream_core::lease::Leases as _;
use millstream_core::outbox::NewEvent;
use millstream_core::store::Store as _;
use millstream_testkit::suite::Site as _;
use millstream_testkit::suite::store::event;

use super::{set, things};

const THINGS: &str = "CREATE TABLE things (id text PRIMARY KEY, a integer, b integer);
    CREATE TABLE accounts (tenant_id text, id text, balance integer);
    INSERT INTO accounts VALUES ('acme', '7', 0);";

/// Nothing of the batch is there then, and it is applied once when the server is back; what was committed
/// before stays.
#[tokio::test]
async fn a_server_that_is_killed_within_a_batch_settles_it_once() {
    killed_within(vec![]).await;
}

/// The same where a handler works in the transaction.
#[tokio::test]
async fn a_server_that_is_killed_within_a_handler_s_batch_settles_it_once() {
    let credit = event("account.credited", "acme", "7", r#"{"amount":5}"#);
    killed_within(vec![credit]).await;
}

async fn killed_within(handled: Vec<NewEvent>) {
    let (site, mut source, mut consumer) = things(THINGS).await;
    let first = [source.send(&set("held", r#"{"a":1}"#))];
    assert_eq!(consumer.settle(&first).await, "1 applied");

    let holder = site.open().await;
    let hold = "BEGIN; SELECT * FROM things WHERE id = 'held' FOR UPDATE";
    holder.batch_execute(hold).await.unwrap();
    let mut events = vec![set("free", r#"{"a":2}"#)];
    events.extend(handled);
    events.push(set("held", r#"{"a":3}"#));
    let entries = source.send_all(&events);
    let (store, lease) = (consumer.store.clone(), consumer.lease.clone());
    let batch = consumer.batch(&entries);
    let applying = tokio::spawn(async move { store.apply(&lease, &batch).await });
    let waits = "SELECT count(*) FROM pg_stat_activity
                 WHERE wait_event_type = 'Lock' AND datname = current_database()";
    while site.rows(waits).await != ["1"] {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    site.server().kill().await.unwrap();
    let error = applying.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");

    site.server().start().await.unwrap();
    drop(holder);
    let at = consumer.store.checkpoint(&consumer.lease).await.unwrap();
    assert_eq!(at.as_ref(), Some(&consumer.at));
    let found = "SELECT concat(id, '=', a) FROM things ORDER BY id";
    let balance = "SELECT balance::text FROM accounts";
    let rows = async |sql: &str| {
        let rows = site.open().await.query(sql, &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect::<Vec<String>>()
    };
    assert_eq!(rows(found).await, ["held=1"]);
    assert_eq!(rows(balance).await, ["0"]);
    assert_eq!(
        rows("SELECT count(*)::text FROM event_tracking").await,
        ["1"]
    );

    let settled = consumer.settle(&entries).await;
    assert_eq!(settled, format!("{} applied", events.len()));
    site.server().kill().await.unwrap();
    site.server().start().await.unwrap();
    assert_eq!(rows(found).await, ["free=2", "held=3"]);
    let credited = 5 * (events.len() - 2);
    assert_eq!(rows(balance).await, [credited.to_string()]);
    let at = consumer.store.checkpoint(&consumer.lease).await.unwrap();
    assert_eq!(at.as_ref(), Some(&consumer.at));
}
