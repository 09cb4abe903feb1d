//! Tables whose constraints say themselves what a conflict does.

use millstream_testkit::suite::Site;

use super::{outage, set, things};

fn table(clause: &str) -> String {
    format!("CREATE TABLE things (id TEXT PRIMARY KEY, a TEXT UNIQUE ON CONFLICT {clause}, b TEXT)")
}

/// The second row is bad where uniqueness is kept, and gone where nothing says so.
#[tokio::test]
async fn a_conflict_parks_its_event_alone() {
    for (clause, outcome) in [
        ("ABORT", "retrying"),
        ("FAIL", "retrying"),
        ("IGNORE", "dead"),
    ] {
        let (site, mut source, mut consumer) = things(&table(clause)).await;
        let entries = source.send_all([
            &set("1", r#"{"a":"x"}"#),
            &set("2", r#"{"a":"x"}"#),
            &set("3", r#"{"a":"y"}"#),
        ]);
        assert_eq!(
            consumer.settle(&entries).await,
            format!("2 applied, 1 {outcome}"),
            "{clause}"
        );
        assert_eq!(
            site.rows("SELECT id FROM things").await,
            ["1", "3"],
            "{clause}"
        );
    }
}

#[tokio::test]
async fn a_clause_that_rolls_back_stops_the_mapping() {
    let (site, mut source, mut consumer) = things(&table("ROLLBACK")).await;
    let entries = source.send_all([
        &set("1", r#"{"a":"x"}"#),
        &set("2", r#"{"a":"x"}"#),
        &set("3", r#"{"a":"y"}"#),
    ]);
    outage::assert_misconfigured(&site, &mut consumer, &entries).await;
    assert_eq!(consumer.settle(&entries[..1]).await, "1 applied");
}

/// A row that replaces another reaches that other: the order of events must hold between them.
#[tokio::test]
async fn rows_that_replace_each_other_keep_their_order() {
    for size in [1, 3] {
        let (site, mut source, mut consumer) = things(&table("REPLACE")).await;
        let before = [source.send(&set("2", r#"{"a":"x","b":"old"}"#))];
        consumer.settle(&before).await;
        let entries = source.send_all([
            &set("2", r#"{"a":"y"}"#),
            // Replaces 2, which comes back without what it had.
            &set("1", r#"{"a":"y"}"#),
            &set("2", r#"{"a":"z"}"#),
        ]);
        for batch in entries.chunks(size) {
            consumer.settle(batch).await;
        }
        let found = site.rows("SELECT * FROM things ORDER BY id").await;
        assert_eq!(found, ["1|y|NULL", "2|z|NULL"], "{size} in a batch");
    }
}
