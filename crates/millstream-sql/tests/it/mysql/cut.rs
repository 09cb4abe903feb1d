//! Connections that the server ends or refuses: an outage, whatever happens to be under way.

use std::time::Duration;

use millstream_core::error::ErrorKind;
use millstream_sql::mysql::{Database as Handle, Options, Server, migrate};
use millstream_testkit::app;
use millstream_testkit::server::MariaDb;
use millstream_testkit::suite::Site as _;
use millstream_testkit::suite::store::{Consumer, Source, event};
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts, OptsBuilder};

use super::{mappings, set, things};

const ACCOUNTS: &str = "
    CREATE TABLE accounts (
      tenant_id VARCHAR(64), id VARCHAR(64), balance INT, PRIMARY KEY (tenant_id, id));
    INSERT INTO accounts VALUES ('acme', '7', 0);
    CREATE TABLE things (id VARCHAR(64) PRIMARY KEY, a INT, b INT);";

/// Ended while they work, at whatever they do, with a handler and without.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_killed_cost_nothing() {
    const BATCHES: u32 = 80;

    let (site, mut source, mut consumer) = things(ACCOUNTS).await;
    let mut killer = site.open().await;
    let mut failures = 0;
    for n in 0..BATCHES {
        let mut events = vec![
            set(&n.to_string(), &format!("{{\"a\":{n}}}")),
            set(&format!("{n} "), &format!("{{\"a\":{n}}}")),
        ];
        if n % 2 == 0 {
            events.push(event("account.credited", "acme", "7", r#"{"amount":1}"#));
        }
        let entries = source.send_all(&events);
        let (failed, _) = tokio::join!(consumer.insist(&entries), async {
            // Each batch is hit a little later than the one before, sixteen times over.
            tokio::time::sleep(Duration::from_micros(u64::from(n % 16) * 100)).await;
            site.kill_connections(&mut killer).await
        });
        failures += failed;
    }
    assert!(failures > BATCHES / 10, "{failures} were hit");
    let balance = (BATCHES / 2).to_string();
    assert_eq!(site.rows("SELECT balance FROM accounts").await, [balance]);
    let things = (2 * BATCHES).to_string();
    assert_eq!(site.rows("SELECT count(*) FROM things").await, [things]);
    let tracked = "SELECT outcome, count(*), count(DISTINCT event_id)
                   FROM event_tracking GROUP BY outcome";
    let all = BATCHES * 5 / 2;
    assert_eq!(site.rows(tracked).await, [format!("applied|{all}|{all}")]);
    assert_eq!(site.rows("SELECT * FROM dead_letters").await, [""; 0]);
}

/// A server of its own, with a table `things`.
async fn start(setting: &str) -> (MariaDb, Options, Conn) {
    let server = MariaDb::builder().setting(setting).start().await.unwrap();
    let mut conn = Conn::from_url(server.url("")).await.unwrap();
    conn.query_drop("CREATE DATABASE hr").await.unwrap();
    conn.query_drop("CREATE TABLE hr.things (id VARCHAR(64) PRIMARY KEY, a INT, b INT)")
        .await
        .unwrap();
    let options = Options::new(app("hr"), Server::url(&server.url("hr")).unwrap());
    migrate(&options, None).await.unwrap();
    (server, options, conn)
}

/// The events that count, and those that do not.
async fn counts(conn: &mut Conn) -> (u32, u32) {
    let counts = "SELECT (SELECT count(*) FROM hr.event_tracking WHERE outcome = 'applied'),
                         (SELECT count(*) FROM hr.dead_letters)";
    conn.query_first(counts).await.unwrap().unwrap()
}

/// Others have taken all connections that the server has.
#[tokio::test]
async fn a_server_without_a_connection_to_spare_is_an_outage_that_ends() {
    let (server, options, mut conn) = start("max-connections=10").await;
    let mut source = Source::shard(0);
    let store = Handle::new(options.clone());
    let mut consumer = Consumer::start(store, source.feed(), mappings()).await;
    // One without connections yet.
    consumer.store = Handle::new(options);

    let opts = Opts::from_url(&server.url("hr")).unwrap();
    let opts: Opts = OptsBuilder::from_opts(opts).prefer_socket(false).into();
    let mut others = Vec::new();
    while let Ok(other) = Conn::new(opts.clone()).await {
        others.push(other);
    }
    let entries = [source.send(&set("1", r#"{"a":1}"#))];
    let error = consumer.apply(&entries).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("1040"), "{error}");

    for other in others {
        other.disconnect().await.unwrap();
    }
    // The server needs a moment to notice.
    consumer.insist(&entries).await;
    assert_eq!(counts(&mut conn).await, (1, 0));
}

/// A statement that takes too long, here for a row that the application holds.
#[tokio::test]
async fn a_statement_that_takes_too_long_is_an_outage_that_ends() {
    let (_server, options, mut conn) = start("max-statement-time=0.3").await;
    let mut source = Source::shard(0);
    let store = Handle::new(options);
    let mut consumer = Consumer::start(store, source.feed(), mappings()).await;
    let first = [source.send(&set("1", r#"{"a":1}"#))];
    assert_eq!(consumer.settle(&first).await, "1 applied");

    let hold = "START TRANSACTION; UPDATE hr.things SET b = 7";
    conn.query_drop(hold).await.unwrap();
    let entries = source.send_all([&set("2", r#"{"a":2}"#), &set("1", r#"{"a":3}"#)]);
    for _ in 0..2 {
        let error = consumer.apply(&entries).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.to_string().contains("1969"), "{error}");
    }
    conn.query_drop("COMMIT").await.unwrap();
    assert_eq!(counts(&mut conn).await, (1, 0));
    assert_eq!(consumer.settle(&entries).await, "2 applied");
    assert_eq!(counts(&mut conn).await, (3, 0));
    let found = "SELECT id, a, b FROM hr.things ORDER BY id";
    let found: Vec<(String, u32, Option<u32>)> = conn.query(found).await.unwrap();
    assert_eq!(found, [("1".into(), 3, Some(7)), ("2".into(), 2, None)]);
}
