//! Two applications that want each other's rows: the server sends one of them away, and that says
//! nothing about an event.

use millstream_core::error::ErrorKind;
use millstream_testkit::suite::Site as _;
use millstream_testkit::suite::store::{Consumer, Source};
use mysql_async::prelude::Queryable as _;

use super::{mappings, set, things};

const THINGS: &str = "CREATE TABLE things (id VARCHAR(64) PRIMARY KEY, a INT, b INT);
                      INSERT INTO things VALUES ('1', 0, 0), ('2', 0, 0);
                      CREATE TABLE others (n INT)";

/// The batch whose transaction was sent away is applied as a whole later.
#[tokio::test]
async fn a_deadlock_undoes_the_whole_batch() {
    let (site, mut source, mut consumer) = things(THINGS).await;
    let entries = source.send_all([
        &set("3", r#"{"a":3}"#),
        &set("1", r#"{"a":1}"#),
        &set("2", r#"{"a":2}"#),
    ]);
    let batch = consumer.batch(&entries);
    let mut application = site.open().await;
    // Who has done less is the one who goes.
    let weight = vec!["(1)"; 500].join(", ");
    let hold = format!(
        "START TRANSACTION; INSERT INTO others VALUES {weight};
         UPDATE things SET b = 7 WHERE id = '2'"
    );
    application.query_drop(hold).await.unwrap();
    let (applied, ()) = tokio::join!(consumer.apply_batch(&batch), async {
        site.one_waits().await;
        let crossing = "UPDATE things SET b = 7 WHERE id = '1'";
        application.query_drop(crossing).await.unwrap();
    });
    let error = applied.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("1213"), "{error}");
    let found = "SELECT count(*) FROM event_tracking UNION ALL SELECT count(*) FROM dead_letters
                 UNION ALL SELECT count(*) FROM things WHERE a <> 0";
    assert_eq!(site.rows(found).await, ["0", "0", "0"]);

    application.query_drop("COMMIT").await.unwrap();
    assert_eq!(consumer.settle(&entries).await, "3 applied");
    let found = site.rows("SELECT * FROM things ORDER BY id").await;
    assert_eq!(found, ["1|1|7", "2|2|7", "3|3|NULL"]);
}

/// Two of our own, which write the same rows in opposite orders: both get through.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_consumers_on_crossed_rows_get_through() {
    const BATCHES: usize = 60;

    let (site, source, first) = things(THINGS).await;
    let other = Source::shard(1);
    let second = Consumer::start(site.connect().await, other.feed(), mappings()).await;
    let work = |mut consumer: Consumer<_>, mut source: Source, ids: [&'static str; 2]| async move {
        let mut failures = 0;
        for n in 1..=BATCHES {
            let data = format!("{{\"a\":{n}}}");
            // One statement for each: rows are locked in the order of the events.
            let entries =
                source.send_all([&set(ids[0], &data), &set(ids[1], &format!("{{\"b\":{n}}}"))]);
            failures += consumer.insist(&entries).await;
        }
        failures
    };
    let one = tokio::spawn(work(first, source, ["1", "2"]));
    let two = tokio::spawn(work(second, other, ["2", "1"]));
    let failures = one.await.unwrap() + two.await.unwrap();
    // Nearly always some; the test above leaves nothing to chance.
    println!("{failures} were sent away");
    let found = site.rows("SELECT * FROM things ORDER BY id").await;
    assert_eq!(found, ["1|60|60", "2|60|60"]);
    let endings = "SELECT outcome, count(*) FROM event_tracking GROUP BY outcome";
    assert_eq!(site.rows(endings).await, ["applied|240"]);
}
