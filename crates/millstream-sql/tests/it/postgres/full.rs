//! A disk that is full.

use millstream_core::error::ErrorKind;
use millstream_testkit::server::SmallDisk;
use millstream_testkit::suite::Site as _;
use millstream_testkit::suite::store::{Consumer, Source};

use super::{Site, mappings, set};

/// Nothing of the batch is there and nothing is parked; everything goes on when there is room.
#[tokio::test]
async fn a_full_disk_is_an_outage_that_ends() {
    let Some(disk) = SmallDisk::mount(8).unwrap() else {
        println!("skipped: this process may not mount a small disk");
        return;
    };
    let site = Site::make("").await;
    let space = format!(
        "CREATE TABLESPACE small LOCATION '{}'",
        disk.path().display()
    );
    site.execute(&space).await.unwrap();
    site.execute(
        "CREATE TABLE things (id text PRIMARY KEY, a text, b integer) TABLESPACE small;
         ALTER TABLE things ALTER a SET STORAGE EXTERNAL",
    )
    .await
    .unwrap();
    let mut source = Source::shard(0);
    let mut consumer = Consumer::start(site.connect().await, source.feed(), mappings()).await;
    let first = [source.send(&set("1", r#"{"a":"x","b":1}"#))];
    assert_eq!(consumer.settle(&first).await, "1 applied");

    disk.fill().unwrap();
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(100_000));
    let entries = source.send_all([
        &set("2", r#"{"a":"x"}"#),
        &set("3", &large),
        &set("1", r#"{"b":2}"#),
    ]);
    for _ in 0..3 {
        let error = consumer.apply(&entries).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.to_string().contains("53100"), "{error}");
        assert_eq!(site.rows("SELECT * FROM things").await, ["1|x|1"]);
        let tracked = "SELECT count(*) FROM event_tracking";
        assert_eq!(site.rows(tracked).await, ["1"]);
    }

    disk.free().unwrap();
    assert_eq!(consumer.settle(&entries).await, "3 applied");
    let found = "SELECT id, length(a), b FROM things ORDER BY id";
    let expected = ["1|1|2", "2|1|NULL", "3|100000|NULL"];
    assert_eq!(site.rows(found).await, expected);
}
