//! Two applications that want each other's rows: the server sends one of them away, and that says
//! nothing about an event.

use millstream_core::error::ErrorKind;
use millstream_testkit::suite::Site as _;
use millstream_testkit::suite::store::{Consumer, Source};

use super::{Site, mappings, set, things};

const THINGS: &str = "CREATE TABLE things (id text PRIMARY KEY, a integer, b integer);
                      INSERT INTO things VALUES ('1', 0, 0), ('2', 0, 0)";

/// Nothing of a batch is there, nobody is to blame, and no try was counted.
async fn assert_nothing_happened(site: &Site) {
    let found = "SELECT count(*) FROM event_tracking UNION ALL SELECT count(*) FROM dead_letters
                 UNION ALL SELECT count(*) FROM things WHERE a <> 0";
    assert_eq!(site.rows(found).await, ["0", "0", "0"]);
}

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
    let application = site.open().await;
    application
        .batch_execute("BEGIN; UPDATE things SET b = 7 WHERE id = '2'")
        .await
        .unwrap();
    let (applied, ()) = tokio::join!(consumer.apply_batch(&batch), async {
        site.one_waits().await;
        // Who has waited longer looks first, and is the one who goes.
        let crossing = "UPDATE things SET b = 7 WHERE id = '1'";
        application.batch_execute(crossing).await.unwrap();
    });
    let error = applied.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("40P01"), "{error}");
    assert_nothing_happened(&site).await;

    application.batch_execute("COMMIT").await.unwrap();
    assert_eq!(consumer.settle(&entries).await, "3 applied");
    let found = site.rows("SELECT * FROM things ORDER BY id").await;
    assert_eq!(found, ["1|1|7", "2|2|7", "3|3|NULL"]);
}

/// The user may want more than read committed: rows that changed under the snapshot begin it anew.
#[tokio::test]
async fn a_serialization_failure_undoes_the_whole_batch() {
    for level in ["repeatable read", "serializable"] {
        let (site, mut source, mut consumer) = things(THINGS).await;
        consumer.store = site.with_setting(&format!("default_transaction_isolation={level}"));
        let entries = source.send_all([&set("1", r#"{"a":1}"#), &set("2", r#"{"a":2}"#)]);
        let batch = consumer.batch(&entries);
        let application = site.open().await;
        application
            .batch_execute("BEGIN; UPDATE things SET b = 7 WHERE id = '2'")
            .await
            .unwrap();
        let (applied, ()) = tokio::join!(consumer.apply_batch(&batch), async {
            site.one_waits().await;
            application.batch_execute("COMMIT").await.unwrap();
        });
        let error = applied.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.to_string().contains("40001"), "{error}");
        assert_nothing_happened(&site).await;
        assert_eq!(consumer.settle(&entries).await, "2 applied");
        let found = site.rows("SELECT * FROM things ORDER BY id").await;
        assert_eq!(found, ["1|1|0", "2|2|7"]);
    }
}

/// Two of our own, which write the same rows in opposite orders: both get through.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_consumers_on_crossed_rows_get_through() {
    const BATCHES: usize = 40;

    let (site, source, mut first) = things(THINGS).await;
    let other = Source::shard(1);
    // The server would look for deadlocks after a second.
    let store = site.with_setting("deadlock_timeout=10");
    first.store = store.clone();
    let second = Consumer::start(store, other.feed(), mappings()).await;
    let work = |mut consumer: Consumer<_>, mut source: Source, ids: [&'static str; 2]| async move {
        let mut failures = 0;
        for n in 1..=BATCHES {
            let data = format!("{{\"a\":{n}}}");
            // One statement for each: the table's rows are locked in the order of the events.
            let entries =
                source.send_all([&set(ids[0], &data), &set(ids[1], &format!("{{\"b\":{n}}}"))]);
            failures += consumer.insist(&entries).await;
        }
        failures
    };
    let one = tokio::spawn(work(first, source, ["1", "2"]));
    let two = tokio::spawn(work(second, other, ["2", "1"]));
    let failures = one.await.unwrap() + two.await.unwrap();
    // Nearly always some; the tests above leave nothing to chance.
    println!("{failures} were sent away");
    assert_eq!(
        site.rows("SELECT * FROM things ORDER BY id").await,
        ["1|40|40", "2|40|40"]
    );
    let endings = "SELECT outcome, count(*), max(attempts) FROM event_tracking GROUP BY outcome";
    let endings = site.rows(endings).await;
    assert_eq!(endings.len(), 1, "{endings:?}");
    assert!(endings[0].starts_with("applied|160"), "{endings:?}");
}
