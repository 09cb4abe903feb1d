//! What a server does to sessions says nothing about the event at hand.

use std::time::Duration;

use async_trait::async_trait;
use millstream_core::change::Op;
use millstream_core::error::ErrorKind;
use millstream_core::event::Event;
use millstream_core::lease::Leases as _;
use millstream_core::mapping::Spec;
use millstream_sql::postgres::{Database, Handler, Options, Server};
use millstream_testkit::app;
use millstream_testkit::server::Postgres;
use millstream_testkit::suite::Site as _;
use millstream_testkit::suite::store::{Consumer, Source, event, spec};
use tokio::sync::Notify;
use tokio_postgres::{NoTls, Transaction};

use super::Site;
use super::site::connect;

const THINGS: &str = "CREATE TABLE things (id text PRIMARY KEY, n integer)";

/// Batches that are applied while sessions are killed.
const BATCHES: u32 = 60;

fn mappings() -> Vec<Spec> {
    let id = ["id = entityId"];
    vec![spec(
        "thing.set",
        Op::Upsert,
        "things",
        &id,
        &["n = data.n"],
    )]
}

fn set(source: &mut Source, id: &str, n: u32) -> millstream_core::entry::Entry {
    source.send(&event("thing.set", "acme", id, &format!("{{\"n\":{n}}}")))
}

/// Everything is applied once, and nothing is parked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_are_killed_over_and_over_only_delay() {
    let site = Site::make("").await;
    site.execute(THINGS).await.unwrap();
    let mut source = Source::shard(0);
    let mut consumer = Consumer::start(site.connect().await, source.feed(), mappings()).await;
    let killer = site.open().await;
    let killing = tokio::spawn(async move {
        let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                    WHERE application_name = 'millstream' AND datname = current_database()";
        loop {
            killer.batch_execute(kill).await.unwrap();
            tokio::time::sleep(Duration::from_millis(7)).await;
        }
    });
    let mut outages = 0;
    for n in 0..BATCHES {
        let entries: Vec<_> = (0..20)
            .map(|key| set(&mut source, &format!("k{key:02}"), n))
            .collect();
        outages += consumer.persist(&entries).await.unwrap();
    }
    killing.abort();
    assert!(outages > 0, "some batch was hit");
    let all = format!("20|{}", BATCHES - 1);
    assert_eq!(
        site.rows("SELECT count(*), min(n) FROM things").await,
        [all]
    );
    assert_eq!(
        site.rows("SELECT status, count(*) FROM event_tracking GROUP BY 1")
            .await,
        [format!("processed|{}", 20 * BATCHES)]
    );
}

/// Whoever finds no room waits, and goes on when there is some.
#[tokio::test]
async fn a_server_without_room_is_an_outage_that_ends() {
    let server = Postgres::builder()
        .setting("max_connections=4")
        .setting("superuser_reserved_connections=0")
        .setting("max_wal_senders=0");
    let server = server.start().await.unwrap();
    let options = Options::new(app("hr"), Server::url(&server.url()).unwrap());
    millstream_sql::postgres::migrate(&options, None)
        .await
        .unwrap();
    let first = connect(server.address(), "postgres").await;
    first.batch_execute(THINGS).await.unwrap();
    let mut source = Source::shard(0);
    let store = Database::new(options.clone());
    let mut consumer = Consumer::start(store, source.feed(), mappings()).await;

    let url = server.url();
    let mut crowd = vec![first];
    // Until there is no room for one more.
    while let Ok((client, connection)) = tokio_postgres::connect(&url, NoTls).await {
        tokio::spawn(connection);
        crowd.push(client);
    }
    let full = Database::new(options).identity().await.unwrap_err();
    assert_eq!(full.kind(), ErrorKind::Unavailable, "{full}");
    assert!(
        full.to_string().contains("connect to postgres://"),
        "{full}"
    );
    crowd.clear();
    let entries = [set(&mut source, "k", 1)];
    assert_eq!(consumer.persist(&entries).await.unwrap(), 0);
    drop(consumer);
}

/// A statement that waits for a row for too long is tried again.
#[tokio::test]
async fn a_statement_that_takes_too_long_is_an_outage() {
    let site = Site::make("").await;
    site.execute(THINGS).await.unwrap();
    let mut source = Source::shard(0);
    let mut options = site.options(&app("hr"), site.address());
    let url = format!("{}?options=-c%20statement_timeout%3D200", site.url());
    options.server = Server::url(&url).unwrap();
    let mut consumer = Consumer::start(Database::new(options), source.feed(), mappings()).await;
    consumer.persist(&[set(&mut source, "k", 1)]).await.unwrap();
    let holder = site.open().await;
    holder
        .batch_execute("BEGIN; UPDATE things SET n = 7")
        .await
        .unwrap();
    let entries = [set(&mut source, "k", 2)];
    let error = consumer.apply(&entries).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    holder.batch_execute("COMMIT").await.unwrap();
    assert_eq!(consumer.persist(&entries).await.unwrap(), 0);
    assert_eq!(site.rows("SELECT n FROM things").await, ["2"]);
    assert_eq!(site.rows("SELECT * FROM dead_letters").await, [""; 0]);
}

/// Two applications that change the same rows in another order: one of them is undone, and does it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadlock_with_the_application_parks_nothing() {
    let site = Site::make("").await;
    // Its trigger makes the table one whose rows are written one after another.
    site.execute(
        "CREATE TABLE things (id text PRIMARY KEY, n integer);
         CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
         CREATE TRIGGER own BEFORE UPDATE ON things FOR EACH ROW EXECUTE FUNCTION nothing()",
    )
    .await
    .unwrap();
    let mut source = Source::shard(0);
    let mut consumer = Consumer::start(site.connect().await, source.feed(), mappings()).await;
    let both = [set(&mut source, "a", 1), set(&mut source, "b", 1)];
    consumer.persist(&both).await.unwrap();

    let application = site.open().await;
    // It does not look for deadlocks: we do, and are the one that is undone.
    application
        .batch_execute(
            "SET deadlock_timeout = '1min'; BEGIN; UPDATE things SET n = 7 WHERE id = 'b'",
        )
        .await
        .unwrap();
    let both = [set(&mut source, "a", 2), set(&mut source, "b", 2)];
    let applying = tokio::spawn(async move {
        let error = consumer.apply(&both).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.to_string().contains("40P01"), "{error}");
        consumer.persist(&both).await.unwrap();
    });
    let waits = "SELECT count(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while site.rows(waits).await != ["1"] {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    application
        .batch_execute("UPDATE things SET n = 7 WHERE id = 'a'; COMMIT")
        .await
        .unwrap();
    applying.await.unwrap();
    assert_eq!(
        site.rows("SELECT id, n FROM things ORDER BY id").await,
        ["a|2", "b|2"]
    );
    assert_eq!(site.rows("SELECT * FROM dead_letters").await, [""; 0]);
}

static STANDING: Notify = Notify::const_new();

struct Standing;

#[async_trait]
impl Handler for Standing {
    async fn handle(
        &self,
        _: &Event,
        tx: &Transaction<'_>,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        tx.batch_execute("INSERT INTO things VALUES ('half', 1)")
            .await?;
        STANDING.notify_one();
        std::future::pending().await
    }
}

/// The server ends its transaction, and a successor goes on from before it.
#[tokio::test]
async fn an_owner_that_stands_still_keeps_no_row() {
    let site = Site::make("").await;
    site.execute(THINGS).await.unwrap();
    let mut source = Source::shard(0);
    let mut options = site.options(&app("hr"), site.address());
    options.handlers = options.handlers.on("handler.hangs", Standing);
    // Less than our five seconds, or the test would take as long.
    let idle = "options=-c%20idle_in_transaction_session_timeout%3D500";
    options.server = Server::url(&format!("{}?{idle}", site.url())).unwrap();
    let mut standing = Consumer::start(Database::new(options), source.feed(), mappings()).await;
    let before = standing.at.clone();
    let entries = [source.send(&event("handler.hangs", "acme", "7", "{}"))];
    let hanging = tokio::spawn(async move { standing.apply(&entries).await.map(drop) });
    STANDING.notified().await;
    let next = Consumer::start(site.connect().await, source.feed(), mappings()).await;
    assert_eq!(next.at, before);
    assert_eq!(site.rows("SELECT * FROM things").await, [""; 0]);
    hanging.abort();
}
