//! A server that forgets what it has acknowledged.

use std::io;
use std::sync::{Arc, Mutex};

use millstream_core::lease::Leases as _;
use millstream_sql::mysql::{Database, Options, Server, migrate};
use millstream_testkit::app;
use millstream_testkit::server::MariaDb;
use mysql_async::Conn;
use mysql_async::prelude::Queryable as _;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whoever runs one is told so; of a server that flushes, nothing is said.
#[tokio::test]
async fn a_server_that_does_not_flush_is_warned_of() {
    let server = MariaDb::builder().durable().start().await.unwrap();
    let mut conn = Conn::from_url(server.url("")).await.unwrap();
    conn.query_drop("CREATE DATABASE hr").await.unwrap();
    let options = Options::new(app("hr"), Server::url(&server.url("hr")).unwrap());
    for (flush, warned) in [(1, false), (2, true), (0, true)] {
        let set = format!("SET GLOBAL innodb_flush_log_at_trx_commit = {flush}");
        conn.query_drop(set).await.unwrap();
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .finish();
        let guard = tracing::subscriber::set_default(subscriber);
        migrate(&options, None).await.unwrap();
        Database::new(options.clone()).identity().await.unwrap();
        drop(guard);
        let said = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert_eq!(said.contains("forgets commits"), warned, "{flush}: {said}");
        assert!(!said.contains("millstream:"), "no password: {said}");
    }
}
