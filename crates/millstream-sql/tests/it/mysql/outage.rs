//! A server that is killed while it applies a batch.

use std::time::Duration;

use millstream_core::error::ErrorKind;
use millstream_core::lease::{Checkpoint, Leases as _};
use millstream_core::name::AppName;
use millstream_core::outbox::NewEvent;
use millstream_core::store::Store as _;
use millstream_sql::mysql::{Database, Options, Server, migrate};
use millstream_testkit::server::MariaDb;
use millstream_testkit::suite::store::{Consumer, Source, event};
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts};

use super::handlers::handlers;
use super::{mappings, set};

const TABLES: [&str; 3] = [
    "CREATE TABLE things (id VARCHAR(64) PRIMARY KEY, a INT, b INT)
     CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin",
    "CREATE TABLE accounts (tenant_id VARCHAR(64), id VARCHAR(64), balance INT)",
    "INSERT INTO accounts VALUES ('acme', '7', 0)",
];

const FOUND: &str = "SELECT concat(id, '=', a) FROM things ORDER BY id";

/// Nothing of the batch is there then, and it is applied once when the server is back; what was committed
/// before stays.
#[tokio::test]
async fn a_server_that_is_killed_within_a_batch_settles_it_once() {
    killed_within(vec![]).await;
}

/// The same where a handler works in the transaction, which is a branch of a distributed one then.
#[tokio::test]
async fn a_server_that_is_killed_within_a_handler_s_batch_settles_it_once() {
    let credit = event("account.credited", "acme", "7", r#"{"amount":5}"#);
    killed_within(vec![credit]).await;
}

async fn killed_within(handled: Vec<NewEvent>) {
    let server = MariaDb::builder().durable().start().await.unwrap();
    let mut application = connect(&server, "").await;
    let make = "CREATE DATABASE hr; USE hr";
    application.query_drop(make).await.unwrap();
    for table in TABLES {
        application.query_drop(table).await.unwrap();
    }
    let address = Server::url(&server.url("hr")).unwrap();
    let mut options = Options::new(AppName::new("hr").unwrap(), address);
    options.handlers = handlers();
    migrate(&options, None).await.unwrap();
    let store = Database::new(options);
    let mut source = Source::shard(0);
    let mut consumer = Consumer::start(store.clone(), source.feed(), mappings()).await;
    let first = [source.send(&set("held", r#"{"a":1}"#))];
    assert_eq!(consumer.settle(&first).await, "1 applied");

    let hold = "START TRANSACTION; SELECT * FROM things WHERE id = 'held' FOR UPDATE";
    application.query_drop(hold).await.unwrap();
    let mut events = vec![set("free", r#"{"a":2}"#)];
    events.extend(handled);
    events.push(set("held", r#"{"a":3}"#));
    let entries = source.send_all(&events);
    let (lease, batch) = (consumer.lease.clone(), consumer.batch(&entries));
    let applying = tokio::spawn(async move { store.apply(&lease, &batch).await });
    let waits = "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'";
    let mut eyes = connect(&server, "hr").await;
    while eyes.query_first::<u64, _>(waits).await.unwrap() != Some(1) {
        // Who looks more often than every 100 ms is shown the same again and again.
        tokio::time::sleep(Duration::from_millis(120)).await;
    }
    server.kill().unwrap();
    let error = applying.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");

    server.start().await.unwrap();
    assert_eq!(checkpoint(&consumer).await.as_ref(), Some(&consumer.at));
    let balance = "SELECT balance FROM accounts";
    let mut eyes = connect(&server, "hr").await;
    assert_eq!(eyes.query::<String, _>(FOUND).await.unwrap(), ["held=1"]);
    assert_eq!(eyes.query::<i64, _>(balance).await.unwrap(), [0]);
    let tracked = "SELECT count(*) FROM event_tracking";
    assert_eq!(eyes.query::<u64, _>(tracked).await.unwrap(), [1]);

    consumer.insist(&entries).await;
    server.kill().unwrap();
    server.start().await.unwrap();
    let mut eyes = connect(&server, "hr").await;
    let found: Vec<String> = eyes.query(FOUND).await.unwrap();
    assert_eq!(found, ["free=2", "held=3"]);
    let credited = 5 * (i64::try_from(events.len()).unwrap() - 2);
    assert_eq!(eyes.query::<i64, _>(balance).await.unwrap(), [credited]);
    assert_eq!(checkpoint(&consumer).await.as_ref(), Some(&consumer.at));
}

/// Where the consumer is, however many of its connections ended with the server.
async fn checkpoint(consumer: &Consumer<Database>) -> Option<Checkpoint> {
    loop {
        match consumer.store.checkpoint(&consumer.lease).await {
            Ok(checkpoint) => return checkpoint,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
        }
    }
}

async fn connect(server: &MariaDb, database: &str) -> Conn {
    Conn::new(Opts::from_url(&server.url(database)).unwrap())
        .await
        .unwrap()
}
