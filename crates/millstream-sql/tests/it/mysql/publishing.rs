//! Events in the application's own transaction.

use millstream_core::error::ErrorKind;
use millstream_core::name::EventId;
use millstream_sql::identifier::Prefix;
use millstream_sql::mysql::{publish, publish_all};
use millstream_testkit::suite::Site as _;
use millstream_testkit::suite::store::event;
use mysql_async::TxOpts;
use mysql_async::prelude::Queryable as _;

use super::Database;

/// They are there if and only if what was written with them is.
#[tokio::test]
async fn events_are_published_with_the_rows_that_they_tell_of() {
    let site = Database::make("").await;
    site.execute("CREATE TABLE users (id INTEGER PRIMARY KEY)")
        .await
        .unwrap();
    let prefix = Prefix::default();
    let mut conn = site.open().await;
    for (id, commits) in [(1, false), (2, true), (3, false)] {
        let mut tx = conn.start_transaction(TxOpts::default()).await.unwrap();
        let insert = format!("INSERT INTO users VALUES ({id})");
        tx.query_drop(insert).await.unwrap();
        let data = format!("{{\"id\":{id}}}");
        let one = event("user.created", "acme", "7", &data);
        publish(&mut tx, &prefix, None, &one).await.unwrap();
        let more = ["9", "8", "9"].map(|entity| event("user.seen", "acme", entity, &data));
        publish_all(&mut tx, &prefix, None, &more).await.unwrap();
        match commits {
            true => tx.commit().await.unwrap(),
            false => tx.rollback().await.unwrap(),
        }
    }
    assert_eq!(site.rows("SELECT id FROM users").await, ["2"]);
    let found = "SELECT entity_id, entity_version, event_data, stream FROM outbox ORDER BY id";
    let row = |entity, version| format!("{entity}|{version}|{{\"id\":2}}|events");
    let expected = [row(7, 1), row(9, 1), row(8, 1), row(9, 2)];
    assert_eq!(site.rows(found).await, expected);
}

/// Its transaction can go on.
#[tokio::test]
async fn an_event_that_was_published_is_a_conflict() {
    let site = Database::make("").await;
    let prefix = Prefix::default();
    let mut conn = site.open().await;
    let mut tx = conn.start_transaction(TxOpts::default()).await.unwrap();
    let mut named = event("user.created", "acme", "7", "{}");
    named.id = EventId::new("e-1").ok();
    publish(&mut tx, &prefix, None, &named).await.unwrap();
    let error = publish(&mut tx, &prefix, None, &named).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    named.id = None;
    publish(&mut tx, &prefix, None, &named).await.unwrap();
    tx.commit().await.unwrap();
    let versions = site
        .rows("SELECT entity_version FROM outbox ORDER BY id")
        .await;
    assert_eq!(versions, ["1", "2"], "what is left out takes no version");
}

/// Whatever the order of the events: their keys are locked in one.
#[tokio::test]
async fn transactions_that_share_keys_never_end_each_other() {
    let site = Database::make("").await;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..4_usize {
        let mut conn = site.open().await;
        writers.spawn(async move {
            for round in 0..50 {
                let mut tx = conn.start_transaction(TxOpts::default()).await.unwrap();
                let keys = (0..6).map(|n| (n * (1 + 4 * (writer % 2)) + writer + round) % 6);
                let events: Vec<_> = keys
                    .map(|key| event("user.seen", "acme", &key.to_string(), "{}"))
                    .collect();
                let ids = publish_all(&mut tx, &Prefix::default(), None, &events).await;
                assert_eq!(ids.unwrap().len(), 6);
                tx.commit().await.unwrap();
            }
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended.unwrap();
    }
    let found = "SELECT entity_id, count(*), max(entity_version) FROM outbox GROUP BY 1 ORDER BY 1";
    let expected: Vec<_> = (0..6).map(|key| format!("{key}|200|200")).collect();
    assert_eq!(site.rows(found).await, expected);
}
