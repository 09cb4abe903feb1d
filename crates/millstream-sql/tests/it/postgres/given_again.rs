//! Ids of the outbox that a crash gives again.

use std::process::Command;
use std::time::Duration;

use millstream_core::clock::Timestamp;
use millstream_core::lease::Leases as _;
use millstream_core::outbox::Outbox as _;
use millstream_sql::postgres::{Database, Options, Server, migrate};
use millstream_testkit::server::Postgres;
use millstream_testkit::{app, stream};

use super::order::{insert, number, tops};
use super::site::connect;

/// Longer than what lies between two looks for a bound.
const BETWEEN: Duration = Duration::from_millis(1_100);

/// A transaction draws ids and is rolled back; the relay has looked beyond them. A crash has the sequence
/// forget what no commit has made durable, so that the ids are given again: they are found at once, and not
/// when everything is looked at, long after later events of their keys.
#[tokio::test]
async fn ids_that_a_crash_gives_again_are_found() {
    let server = Postgres::builder()
        .setting("autovacuum=off")
        .setting("wal_buffers=8MB");
    let server = server.start().await.unwrap();
    let options = Options::new(app("hr"), Server::url(&server.url()).unwrap());
    migrate(&options, Some(&stream("events"))).await.unwrap();
    let relay = Database::new(options);
    let mut tops = tops(&relay).await;
    let application = connect(server.address(), "postgres").await;
    application.batch_execute(&insert(1, 1, 1)).await.unwrap();
    assert_eq!(number(&relay, &mut tops).await, 1);

    // From here on nothing but a commit writes anything down.
    let writers = "SELECT pid FROM pg_stat_activity
                   WHERE backend_type IN ('walwriter', 'background writer', 'checkpointer')";
    for row in application.query(writers, &[]).await.unwrap() {
        let pid = row.get::<_, i32>(0).to_string();
        let stopped = Command::new("kill").args(["-STOP", &pid]).status();
        assert!(stopped.unwrap().success());
    }
    let drawn: String = (0..100).map(|n| insert(2, 1, n)).collect();
    let drawn = format!("BEGIN; {drawn} ROLLBACK");
    application.batch_execute(&drawn).await.unwrap();
    for _ in 0..4 {
        // Each of them may look for a bound, or settle one.
        tokio::time::sleep(BETWEEN).await;
        let rows = relay.number(&tops, 10, Timestamp::from_millis(0)).await;
        assert_eq!(rows.unwrap(), []);
    }

    server.kill().await.unwrap();
    server.start().await.unwrap();
    let application = connect(server.address(), "postgres").await;
    application.batch_execute(&insert(2, 2, 1)).await.unwrap();
    let row = application
        .query_one("SELECT max(id) FROM outbox", &[])
        .await
        .unwrap();
    let id: i64 = row.get(0);
    assert!(id < 100, "the crash has not taken the ids back: {id}");
    // The first attempt may meet a connection that has died.
    while relay.unsent(&stream("events")).await.is_err() {}
    for lease in &mut tops {
        lease.checkpoint = relay.checkpoint(lease).await.unwrap().expect("it is held");
    }
    assert_eq!(number(&relay, &mut tops).await, 1);
}
