//! A file that lost what was last written to it.

use std::fs;

use millstream_testkit::suite::Site;
use millstream_testkit::suite::store::Consumer;

use super::{File, mappings, set, things};

const THINGS: &str = "CREATE TABLE things (id TEXT PRIMARY KEY, a TEXT, b TEXT);
                      CREATE TABLE sums (n INTEGER);
                      CREATE TRIGGER counted AFTER INSERT ON things BEGIN
                        INSERT INTO sums VALUES (1);
                      END;";
const EVENTS: usize = 40;

/// The write-ahead log is cut anywhere, or its end is garbage: what is left is some first part of what
/// was acknowledged, the checkpoint says which, and the rest is applied again.
#[tokio::test]
async fn a_cut_log_is_behind_and_catches_up() {
    let (site, mut source, mut consumer) = things(THINGS).await;
    site.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        .await
        .unwrap();
    let entries: Vec<_> = (0..EVENTS)
        .map(|n| source.send(&set(&n.to_string(), &format!("{{\"a\":\"{n}\"}}"))))
        .collect();
    for entry in &entries {
        let settled = consumer.settle(std::slice::from_ref(entry)).await;
        assert_eq!(settled, "1 applied");
    }
    let path = site.path();
    let file = fs::read(&path).unwrap();
    let log = fs::read(path.with_extension("db-wal")).unwrap();
    drop((site, consumer));

    let mut lost = 0;
    for step in 0..=24 {
        let end = log.len() * step / 24;
        for garbage in [0, 5_000] {
            let mut left = log[..end].to_vec();
            left.resize(end + garbage, 0xa5);
            let site = File::left_as(&file, &left);
            let mut next = Consumer::start(site.connect().await, source.feed(), mappings()).await;
            let done = entries
                .iter()
                .take_while(|entry| entry.id <= next.at.at)
                .count();
            let rows = site.rows("SELECT count(*), count(DISTINCT id) FROM things");
            assert_eq!(
                rows.await,
                [format!("{done}|{done}")],
                "all of each, or nothing"
            );
            lost += usize::from(done < EVENTS);
            if done < EVENTS {
                next.apply(&entries[done..]).await.unwrap();
            }
            let rows = "SELECT (SELECT count(*) FROM things WHERE a = id), count(*) FROM sums";
            assert_eq!(site.rows(rows).await, [format!("{EVENTS}|{EVENTS}")]);
            assert_eq!(site.rows("PRAGMA integrity_check").await, ["ok"]);
        }
    }
    assert!(lost > 30, "{lost} of them lost something");
}
