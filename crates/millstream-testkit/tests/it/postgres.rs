//! PostgreSQL as a child process.

use millstream_testkit::server::Postgres;

#[tokio::test]
async fn a_server_can_be_killed_and_started_again() {
    let server = Postgres::start_default().await.unwrap();
    assert!(server.start().await.is_err(), "it runs");
    server.kill().await.unwrap();
    server.start().await.unwrap();
    server.stop_immediately().await.unwrap();
    server.start().await.unwrap();
}
