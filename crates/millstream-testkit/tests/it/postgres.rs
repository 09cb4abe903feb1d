//! PostgreSQL as a child process.

use millstream_testkit::server::{Postgres, PostgresPair};

#[tokio::test]
async fn a_server_can_be_killed_and_started_again() {
    let server = Postgres::start_default().await.unwrap();
    assert!(server.start().await.is_err(), "it runs");
    server.kill().await.unwrap();
    server.start().await.unwrap();
    server.stop_immediately().await.unwrap();
    server.start().await.unwrap();
}

#[tokio::test]
async fn a_standby_takes_the_place_without_what_came_last() {
    let mut pair = PostgresPair::start().await.unwrap();
    assert!(pair.standby().is_err());
    let first = "CREATE TABLE t (n integer); INSERT INTO t VALUES (1)";
    pair.rows(first).await.unwrap();
    pair.hold_back().await.unwrap();
    pair.rows("INSERT INTO t VALUES (2)").await.unwrap();
    assert_eq!(pair.rows("SELECT n FROM t").await.unwrap(), ["1", "2"]);

    pair.switch().await.unwrap();
    assert_eq!(pair.rows("SELECT n FROM t").await.unwrap(), ["1"]);
    let insert = "INSERT INTO t VALUES (3) RETURNING n";
    let error = pair.rows(insert).await.unwrap_err().to_string();
    assert!(error.contains("read-only"), "{error}");
    pair.promote().await.unwrap();
    assert_eq!(pair.rows(insert).await.unwrap(), ["3"]);
    assert!(pair.primary().rows("SELECT 1").await.is_err(), "it is dead");
}
