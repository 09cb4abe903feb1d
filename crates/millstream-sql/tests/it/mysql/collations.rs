//! Texts that differ and are equal to the server.

use millstream_sql::mysql::{Database, migrate};
use millstream_testkit::suite::Site as _;
use millstream_testkit::suite::store::{Consumer, Source};
use millstream_testkit::{app, stream};

use super::{mappings, set, things};

/// A row is found by its own id alone: an id that the table takes for the same is a conflict.
#[tokio::test]
async fn an_id_that_only_looks_the_same_changes_no_other_row() {
    for collation in ["utf8mb4_general_ci", "utf8mb4_bin", "latin1_swedish_ci"] {
        let charset = collation.split('_').next().unwrap();
        let (site, mut source, mut consumer) = things(&format!(
            "CREATE TABLE things (
               id VARCHAR(64) CHARACTER SET {charset} COLLATE {collation} PRIMARY KEY, a INT, b INT)"
        ))
        .await;
        let entries = source.send_all([
            &set("ä", r#"{"a":1}"#),
            &set("ä ", r#"{"a":2}"#),
            &set("b", r#"{"a":3}"#),
            &set("ä", r#"{"b":4}"#),
        ]);
        let settled = consumer.settle(&entries).await;
        assert_eq!(settled, "3 applied, 1 retrying", "{collation}");
        let left = source.send_all([&super::event("thing.left", "acme", "b ", "{}")]);
        assert_eq!(consumer.settle(&left).await, "1 applied");
        let found = site.rows("SELECT id, a, b FROM things ORDER BY a").await;
        assert_eq!(found, ["ä|1|4", "b|3|NULL"], "{collation}");
        let reason = site.rows("SELECT reason FROM dead_letters").await;
        assert!(reason[0].contains("another row"), "{reason:?}");
        assert!(!reason[0].contains('ä'), "{reason:?}");
    }
}

/// Many rows at once, in order: those whose ids only look the same are found out, and nothing else is held
/// up by them.
#[tokio::test]
async fn rows_of_a_folding_table_are_written_at_once() {
    let (site, mut source, mut consumer) = things(
        "CREATE TABLE things (
           id VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci PRIMARY KEY, a INT, b INT)",
    )
    .await;
    let mut sent = Vec::new();
    for round in 0..3 {
        for number in 0..100 {
            let data = format!("{{\"a\":{round},\"b\":{number}}}");
            sent.push(set(&format!("k{number}"), &data));
        }
    }
    sent.insert(150, set("K7", r#"{"a":9}"#));
    sent.insert(250, set("k8 ", r#"{"a":9}"#));
    let entries = source.send_all(&sent);
    assert_eq!(consumer.settle(&entries).await, "300 applied, 2 retrying");
    assert_eq!(
        site.rows("SELECT count(*), min(a), max(a), sum(b) FROM things")
            .await,
        ["100|2|2|4950"]
    );
    let again = source.send_all([&set("k1", "{}"), &set("k2", r#"{"a":5}"#)]);
    assert_eq!(consumer.settle(&again).await, "2 applied");
    assert_eq!(
        site.rows("SELECT id, a, b FROM things WHERE id IN ('k1', 'k2') ORDER BY id")
            .await,
        ["k1|2|1", "k2|5|2"]
    );
}

/// Whatever looks the same to a table of the user's: each event has the row of its own id, or is parked
/// with a reason; none has another's.
#[tokio::test]
async fn ids_that_look_the_same_never_share_a_row() {
    let ids = [
        "a",
        "A",
        "a ",
        "a  ",
        "\u{e4}",
        "\u{c4}",
        "a\u{308}",
        "\u{df}",
        "ss",
        "SS",
        "s",
        "i",
        "I",
        "\u{131}",
        "\u{130}",
        "1",
        "01",
        "\u{e9}",
        "e\u{301}",
        "e",
        "\u{1f980}",
        "\u{1f981}",
        "\u{fb00}",
        "ff",
        "a\u{200b}",
        "a\u{1}",
        "a\t",
    ];
    for collation in ["utf8mb4_general_ci", "utf8mb4_unicode_ci", "utf8mb4_bin"] {
        for size in [1, ids.len()] {
            let (site, mut source, mut consumer) = things(&format!(
                "CREATE TABLE things (id VARCHAR(64) COLLATE {collation} PRIMARY KEY, a INT, b INT)"
            ))
            .await;
            let entries: Vec<_> = (0..)
                .zip(ids)
                .map(|(n, id)| source.send(&set(id, &format!("{{\"a\":{n}}}"))))
                .collect();
            for batch in entries.chunks(size) {
                consumer.apply(batch).await.unwrap();
            }
            let rows = site.rows("SELECT a, concat(id, '') FROM things").await;
            for row in &rows {
                let (n, id) = row.split_once('|').unwrap();
                assert_eq!(id, ids[n.parse::<usize>().unwrap()], "{collation}");
            }
            let dead = "SELECT count(*) FROM dead_letters WHERE reason LIKE '%another row%'";
            let dead = site.rows(dead).await.remove(0);
            let all = rows.len() + dead.parse::<usize>().unwrap();
            assert_eq!(all, ids.len(), "{collation}: {rows:?}");
        }
    }
}

/// Whatever a database's own default is, our tables compare every byte.
#[tokio::test]
async fn our_tables_do_not_take_the_default_of_the_database() {
    let site = super::Database::bare().await;
    site.execute("SET @database = database(); ALTER DATABASE CHARACTER SET latin1")
        .await
        .unwrap();
    let events = stream("events");
    migrate(&site.options(), Some(&events)).await.unwrap();
    site.execute("CREATE TABLE things (id VARBINARY(64) PRIMARY KEY, a INT, b INT)")
        .await
        .unwrap();
    let mut source = Source::shared();
    let store: Database = site.connect_as(&app("hr")).await;
    let mut consumer = Consumer::start(store, source.feed(), mappings()).await;
    let mut events = Vec::new();
    for id in ["x", "X", "x ", "ẋ"] {
        let mut event = set(id, r#"{"a":1}"#);
        event.id = millstream_core::name::EventId::new(id).ok();
        events.push(event);
    }
    let entries = source.send_all(&events);
    assert_eq!(consumer.settle(&entries).await, "4 applied");
    assert_eq!(site.rows("SELECT count(*) FROM things").await, ["4"]);
}
