//! A disk that is full.

use millstream_core::error::ErrorKind;
use millstream_testkit::server::SmallDisk;
use millstream_testkit::suite::Site as _;
use millstream_testkit::suite::store::{Consumer, Source};

use super::{Database, mappings, set};

const ROWS: usize = 100;

/// Nothing of the batch is there and nothing is parked; everything goes on when there is room.
#[tokio::test]
async fn a_full_disk_is_an_outage_that_ends() {
    let Some(disk) = SmallDisk::mount(48).unwrap() else {
        println!("skipped: this process may not mount a small disk");
        return;
    };
    let site = Database::make("").await;
    let table = format!(
        "CREATE TABLE things (id VARCHAR(64) PRIMARY KEY, a VARCHAR(6000), b INT)
         DATA DIRECTORY = '{}'",
        disk.path().display()
    );
    site.execute(&table).await.unwrap();
    let mut source = Source::shard(0);
    let mut consumer = Consumer::start(site.connect().await, source.feed(), mappings()).await;
    let first = [source.send(&set("1", r#"{"a":"x","b":1}"#))];
    assert_eq!(consumer.settle(&first).await, "1 applied");

    disk.fill().unwrap();
    // Each fits into a page: without room for what does not, this server may crash.
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(6_000));
    let mut events = vec![set("1", r#"{"b":2}"#)];
    events.extend((2..=ROWS).map(|n| set(&n.to_string(), &large)));
    let entries = source.send_all(&events);
    for _ in 0..3 {
        let error = consumer.apply(&entries).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.to_string().contains("1114"), "{error}");
        assert_eq!(site.rows("SELECT * FROM things").await, ["1|x|1"]);
        let tracked = "SELECT count(*) FROM event_tracking";
        assert_eq!(site.rows(tracked).await, ["1"]);
    }

    disk.free().unwrap();
    assert_eq!(consumer.settle(&entries).await, format!("{ROWS} applied"));
    let found = "SELECT count(*), sum(length(a)), sum(b) FROM things";
    let length = 1 + 6_000 * (ROWS - 1);
    assert_eq!(site.rows(found).await, [format!("{ROWS}|{length}|2")]);
    assert_eq!(site.rows("SELECT * FROM dead_letters").await, [""; 0]);
}
