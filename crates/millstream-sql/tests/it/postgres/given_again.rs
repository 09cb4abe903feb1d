//! Ids of the outbox that a crash gives again.

use std::process::Command;

use millstream_core::lease::Leases as _;
use millstream_core::outbox::Outbox as _;
use millstream_sql::postgres::{Database, Options, Server, migrate};
use millstream_testkit::server::Postgres;
use millstream_testkit::{app, stream};

use super::bound::BETWEEN;
use super::order::{insert, number, tops};
use super::site::connect;

/// A transaction draws ids and is rolled back; the relay has looked beyond them, and a crash takes commits
/// back that the server had acknowledged, as a fail-over may. The sequence forgets them too, so that the ids
/// are given again: they are found at once, and not when everything is looked at, long after later events of
/// their keys.
#[tokio::test]
async fn ids_that_a_crash_gives_again_are_found() {
    let server = Postgres::builder()
        .setting("autovacuum=off")
        .setting("wal_buffers=8MB");
    let server = server.start().await.unwrap();
    let forgetful = format!("{}?options=-c%20synchronous_commit%3Doff", server.url());
    let options = Options::new(app("hr"), Server::url(&forgetful).unwrap());
    migrate(&options, Some(&stream("events"))).await.unwrap();
    let relay = Database::new(options);
    let mut tops = tops(&relay).await;
    let application = connect(server.address(), "postgres").await;
    application.batch_execute(&insert(1, 1, 1)).await.unwrap();
    assert_eq!(number(&relay, &mut tops).await, 1);
    // Writes down what the relay has done.
    application
        .batch_execute("UPDATE millstream_meta SET value = value")
        .await
        .unwrap();

    // From here on nothing but a commit writes anything down.
    let writers = "SELECT pid FROM pg_stat_activity
                   WHERE backend_type IN ('walwriter', 'background writer', 'checkpointer')";
    for row in application.query(writers, &[]).await.unwrap() {
        let pid = row.get::<_, i32>(0).to_string();
        let stopped = Command::new("kill").args(["-STOP", &pid]).status();
        assert!(stopped.unwrap().success());
    }
    let drawn: String = (0..100).map(|n| insert(2, 1, n)).collect();
    let drawn = format!("BEGIN; {drawn} ROLLBACK; {}", insert(3, 1, 1));
    // Long enough after the relay's first look for the next one to want a bound.
    tokio::time::sleep(BETWEEN).await;
    application
        .batch_execute("SET synchronous_commit = off")
        .await
        .unwrap();
    application.batch_execute(&drawn).await.unwrap();
    assert_eq!(number(&relay, &mut tops).await, 1);
    for _ in 0..2 {
        tokio::time::sleep(BETWEEN).await;
        assert_eq!(number(&relay, &mut tops).await, 0);
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
