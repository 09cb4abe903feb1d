//! A server that goes away says nothing about the events at hand.

use std::time::Duration;

use millstream_core::error::ErrorKind;
use millstream_sql::mysql::{Database, Options, Server, migrate};
use millstream_testkit::server::MariaDb;
use millstream_testkit::suite::store::{Consumer, Source};
use millstream_testkit::{app, stream};
use mysql_async::Conn;
use mysql_async::prelude::Queryable as _;

use super::{mappings, set};

/// Half of the batch is written when it happens: nothing of it is there, and the same batch succeeds once
/// the server is back.
#[tokio::test]
async fn a_server_that_was_killed_within_a_batch_is_unavailable_until_it_is_back() {
    let server = MariaDb::builder().durable().start().await.unwrap();
    let mut admin = Conn::from_url(server.url("")).await.unwrap();
    admin.query_drop("CREATE DATABASE hr").await.unwrap();
    admin.query_drop("USE hr").await.unwrap();
    let table = "CREATE TABLE things (id VARCHAR(64) PRIMARY KEY, a INT, b INT)";
    admin.query_drop(table).await.unwrap();
    let options = Options::new(app("hr"), Server::url(&server.url("hr")).unwrap());
    migrate(&options, Some(&stream("events"))).await.unwrap();
    let mut source = Source::shard(0);
    let mut consumer = Consumer::start(Database::new(options), source.feed(), mappings()).await;
    let first = [source.send(&set("held", r#"{"a":1}"#))];
    assert_eq!(consumer.settle(&first).await, "1 applied");

    let mut application = Conn::from_url(server.url("hr")).await.unwrap();
    let hold = "BEGIN; SELECT * FROM things WHERE id = 'held' FOR UPDATE";
    application.query_drop(hold).await.unwrap();
    let batch = source.send_all([&set("free", r#"{"a":2}"#), &set("held", r#"{"b":2}"#)]);
    let kill = async {
        let waits = "SELECT count(*) FROM information_schema.innodb_trx
                     WHERE trx_state = 'LOCK WAIT'";
        while admin.query_first::<u64, _>(waits).await.unwrap() != Some(1) {
            // Who looks more often than every 100 ms is shown the same again and again.
            tokio::time::sleep(Duration::from_millis(120)).await;
        }
        server.kill().unwrap();
    };
    let (applied, ()) = tokio::join!(consumer.apply(&batch), kill);
    let error = applied.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let error = consumer.apply(&batch).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");

    server.start().await.unwrap();
    let mut application = Conn::from_url(server.url("hr")).await.unwrap();
    let things = "SELECT id, a, b FROM things ORDER BY id";
    let found: Vec<(String, Option<i32>, Option<i32>)> = application.query(things).await.unwrap();
    assert_eq!(found, [("held".into(), Some(1), None)]);
    assert_eq!(consumer.settle(&batch).await, "2 applied");
    let found: Vec<(String, Option<i32>, Option<i32>)> = application.query(things).await.unwrap();
    let expected = [
        ("free".into(), Some(2), None),
        ("held".into(), Some(1), Some(2)),
    ];
    assert_eq!(found, expected);
    let tracked = "SELECT count(*) FROM event_tracking WHERE status = 'processed'";
    assert_eq!(application.query_first(tracked).await.unwrap(), Some(3));
}
