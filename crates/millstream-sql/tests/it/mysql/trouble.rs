//! What a server does to sessions says nothing about the event at hand.

use std::time::Duration;

use millstream_core::error::ErrorKind;
use millstream_core::lease::Leases as _;
use millstream_sql::mysql::{Database as Handle, Options, Server, migrate};
use millstream_testkit::app;
use millstream_testkit::server::MariaDb;
use millstream_testkit::suite::Site as _;
use millstream_testkit::suite::store::{Consumer, Source};
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts};

use super::{mappings, set, things};

const THINGS: &str = "CREATE TABLE things (id VARCHAR(64) PRIMARY KEY, a INT, b INT)";

/// Batches that are applied while sessions are killed.
const BATCHES: u32 = 60;

/// Everything is applied once, and nothing is parked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_are_killed_over_and_over_only_delay() {
    let (site, mut source, mut consumer) = things(THINGS).await;
    let mut killer = site.open().await;
    let killing = tokio::spawn(async move {
        let ours = "SELECT id FROM information_schema.processlist
                    WHERE db = database() AND id <> connection_id()";
        loop {
            let ids: Vec<u64> = killer.query(ours).await.unwrap();
            for id in ids {
                // It may have gone by itself.
                killer.query_drop(format!("KILL {id}")).await.ok();
            }
            tokio::time::sleep(Duration::from_millis(7)).await;
        }
    });
    let mut outages = 0;
    for n in 0..BATCHES {
        let entries: Vec<_> = (0..20)
            .map(|key| source.send(&set(&format!("k{key:02}"), &format!("{{\"a\":{n}}}"))))
            .collect();
        outages += consumer.persist(&entries).await.unwrap();
    }
    killing.abort();
    assert!(killing.await.is_err());
    assert!(outages > 0, "some batch was hit");
    let mut look = site.open().await;
    let rows: Option<(u64, u32)> = look
        .query_first("SELECT count(*), min(a) FROM things")
        .await
        .unwrap();
    assert_eq!(rows, Some((20, BATCHES - 1)));
    let tracked: Vec<(String, u32)> = look
        .query("SELECT status, count(*) FROM event_tracking GROUP BY 1")
        .await
        .unwrap();
    assert_eq!(tracked, [("processed".to_owned(), 20 * BATCHES)]);
}

/// Whoever finds no room waits, and goes on when there is some.
#[tokio::test]
async fn a_server_without_room_is_an_outage_that_ends() {
    let server = MariaDb::builder()
        .setting("max-connections=10")
        .start()
        .await
        .unwrap();
    let opts = Opts::from_url(&server.url("")).unwrap();
    let mut first = Conn::new(opts.clone()).await.unwrap();
    first.query_drop("CREATE DATABASE hr").await.unwrap();
    let options = Options::new(app("hr"), Server::url(&server.url("hr")).unwrap());
    migrate(&options, None).await.unwrap();
    first.query_drop(format!("USE hr; {THINGS}")).await.unwrap();
    let mut source = Source::shard(0);
    let mut consumer =
        Consumer::start(Handle::new(options.clone()), source.feed(), mappings()).await;

    let mut crowd = vec![first];
    // Until there is no room for one more.
    while let Ok(conn) = Conn::new(opts.clone()).await {
        crowd.push(conn);
    }
    let full = Handle::new(options).identity().await.unwrap_err();
    assert_eq!(full.kind(), ErrorKind::Unavailable, "{full}");
    assert!(full.to_string().contains("connect to mysql://"), "{full}");
    for conn in crowd {
        conn.disconnect().await.unwrap();
    }
    let entries = [source.send(&set("k", r#"{"a":1}"#))];
    assert_eq!(consumer.persist(&entries).await.unwrap(), 0);
}

/// Two applications that change the same rows in another order: one of them is undone, and does it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadlock_with_the_application_parks_nothing() {
    // Its trigger makes the table one whose rows are written one after another.
    let (site, mut source, mut consumer) = things(&format!(
        "{THINGS}; CREATE TABLE heavy (id INT PRIMARY KEY);
         CREATE TRIGGER own BEFORE UPDATE ON things FOR EACH ROW SET NEW.b = 5"
    ))
    .await;
    let mut both = |n: u32| {
        let data = format!("{{\"a\":{n}}}");
        source.send_all([&set("a", &data), &set("b", &data)])
    };
    consumer.persist(&both(1)).await.unwrap();

    let mut application = site.open().await;
    // The server undoes whoever has changed less.
    let rows: Vec<String> = (0..500).map(|row| format!("({row})")).collect();
    let heavy = format!(
        "START TRANSACTION; INSERT INTO heavy VALUES {}",
        rows.join(",")
    );
    application.query_drop(heavy).await.unwrap();
    application
        .query_drop("UPDATE things SET a = 7 WHERE id = 'b'")
        .await
        .unwrap();
    let entries = both(2);
    let applying = tokio::spawn(async move {
        let error = consumer.apply(&entries).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.to_string().contains("1213"), "{error}");
        consumer.persist(&entries).await.unwrap();
    });
    let mut look = site.open().await;
    let waits = "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'";
    while look.query_first::<u64, _>(waits).await.unwrap() != Some(1) {
        // The server makes this table up anew when nobody has read it for 100 ms.
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    application
        .query_drop("UPDATE things SET a = 7 WHERE id = 'a'; COMMIT")
        .await
        .unwrap();
    applying.await.unwrap();
    assert_eq!(
        site.rows("SELECT id, a FROM things ORDER BY id").await,
        ["a|2", "b|2"]
    );
    assert_eq!(site.rows("SELECT reason FROM dead_letters").await, [""; 0]);
}
