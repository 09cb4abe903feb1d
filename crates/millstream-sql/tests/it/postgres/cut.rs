//! Sessions that the server ends or refuses: an outage, whatever happens to be under way.

use std::time::Duration;

use millstream_core::error::ErrorKind;
use millstream_sql::postgres::{Database, Options, Server, migrate};
use millstream_testkit::app;
use millstream_testkit::server::Postgres;
use millstream_testkit::suite::Site as _;
use millstream_testkit::suite::store::{Consumer, Source, event};
use tokio_postgres::{Client, NoTls};

use super::{Site, mappings, set, things};

const ACCOUNTS: &str = "
    CREATE TABLE accounts (tenant_id text, id text, balance integer, PRIMARY KEY (tenant_id, id));
    INSERT INTO accounts VALUES ('acme', '7', 0);
    CREATE TABLE things (id text PRIMARY KEY, a integer, b integer);";

/// Everything was applied once, nothing is parked, and no try was counted.
async fn assert_applied(site: &Site, count: u32) {
    let tracked = "SELECT outcome, count(*), count(DISTINCT event_id), sum(attempts)
                   FROM event_tracking GROUP BY outcome";
    let tracked = site.rows(tracked).await;
    let expected = [format!("applied|{count}|{count}|")];
    assert!(
        tracked.len() == 1 && tracked[0].starts_with(&expected[0]),
        "{tracked:?}"
    );
    assert_eq!(site.rows("SELECT * FROM dead_letters").await, [""; 0]);
}

/// Ended while they work, at whatever they do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_are_ended_cost_nothing() {
    const BATCHES: u32 = 80;

    let (site, mut source, mut consumer) = things(ACCOUNTS).await;
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = current_database() AND application_name = 'millstream'";
    let mut failures = 0;
    for n in 0..BATCHES {
        let entries = source.send_all([
            &event("account.credited", "acme", "7", r#"{"amount":1}"#),
            &set(&n.to_string(), &format!("{{\"a\":{n}}}")),
            &event("account.credited", "acme", "7", r#"{"amount":1}"#),
        ]);
        let (failed, _) = tokio::join!(consumer.insist(&entries), async {
            // Each batch is hit a little later than the one before, sixteen times over.
            tokio::time::sleep(Duration::from_micros(u64::from(n % 16) * 150)).await;
            site.rows(end).await
        });
        failures += failed;
    }
    assert!(failures > BATCHES / 10, "{failures} were hit");
    let balance = (2 * BATCHES).to_string();
    assert_eq!(site.rows("SELECT balance FROM accounts").await, [balance]);
    assert_eq!(
        site.rows("SELECT count(*) FROM things").await,
        [BATCHES.to_string()]
    );
    assert_applied(&site, 3 * BATCHES).await;
}

/// A statement that takes too long, here for a row that the application holds.
#[tokio::test]
async fn a_statement_that_takes_too_long_is_an_outage_that_ends() {
    for (setting, code) in [
        ("statement_timeout=200", "57014"),
        ("lock_timeout=200", "55P03"),
    ] {
        let (site, mut source, mut consumer) = things(ACCOUNTS).await;
        consumer.store = site.with_setting(setting);
        let first = [source.send(&set("1", r#"{"a":1}"#))];
        assert_eq!(consumer.settle(&first).await, "1 applied");
        let application = site.open().await;
        application
            .batch_execute("BEGIN; UPDATE things SET b = 7")
            .await
            .unwrap();
        let entries = source.send_all([&set("2", r#"{"a":2}"#), &set("1", r#"{"a":3}"#)]);
        for _ in 0..2 {
            let error = consumer.apply(&entries).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
            assert!(error.to_string().contains(code), "{error}");
        }
        assert_applied(&site, 1).await;
        application.batch_execute("COMMIT").await.unwrap();
        assert_eq!(consumer.settle(&entries).await, "2 applied");
        let found = site.rows("SELECT * FROM things ORDER BY id").await;
        assert_eq!(found, ["1|3|7", "2|2|NULL"]);
        assert_applied(&site, 3).await;
    }
}

/// Others have taken all connections that the server has.
#[tokio::test]
async fn a_server_without_a_connection_to_spare_is_an_outage_that_ends() {
    let few = Postgres::builder().setting("max_connections=6");
    let few = few.setting("superuser_reserved_connections=0");
    let server = few.setting("max_wal_senders=0").start().await.unwrap();
    let options = Options::new(app("hr"), Server::url(&server.url()).unwrap());
    let application = connect(&server).await.unwrap();
    migrate(&options, None).await.unwrap();
    let table = "CREATE TABLE things (id text PRIMARY KEY, a integer, b integer)";
    application.batch_execute(table).await.unwrap();
    let mut source = Source::shard(0);
    let store = Database::new(options.clone());
    let mut consumer = Consumer::start(store, source.feed(), mappings()).await;
    // One without connections yet.
    consumer.store = Database::new(options);

    let mut others = Vec::new();
    while let Some(other) = connect(&server).await {
        others.push(other);
    }
    let entries = [source.send(&set("1", r#"{"a":1}"#))];
    let error = consumer.apply(&entries).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("53300"), "{error}");

    drop(others);
    // The server needs a moment to notice.
    let failures = consumer.insist(&entries).await;
    let row = application.query_one("SELECT count(*), max(a) FROM things", &[]);
    let row = row.await.unwrap();
    assert_eq!(
        (row.get::<_, i64>(0), row.get::<_, i32>(1)),
        (1, 1),
        "{failures}"
    );
    let parked = "SELECT count(*) FROM dead_letters";
    let parked = application.query_one(parked, &[]).await.unwrap();
    assert_eq!(parked.get::<_, i64>(0), 0);
}

async fn connect(server: &Postgres) -> Option<Client> {
    let (client, connection) = tokio_postgres::connect(&server.url(), NoTls).await.ok()?;
    tokio::spawn(async move { drop(connection.await) });
    Some(client)
}
