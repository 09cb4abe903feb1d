//! Events in the application's own transaction.

use millstream_core::error::ErrorKind;
use millstream_core::name::{EventId, PartitionKey};
use millstream_sql::identifier::Prefix;
use millstream_sql::postgres::{publish, publish_all};
use millstream_testkit::stream;
use millstream_testkit::suite::Site as _;
use millstream_testkit::suite::store::event;

use super::Site;

/// They are there if and only if what was written with them is.
#[tokio::test]
async fn events_are_published_with_the_rows_that_they_tell_of() {
    let site = Site::make("").await;
    site.execute("CREATE TABLE users (id integer PRIMARY KEY)")
        .await
        .unwrap();
    let prefix = Prefix::default();
    let mut client = site.open().await;
    for (id, commits) in [(1, false), (2, true), (3, false)] {
        let tx = client.transaction().await.unwrap();
        tx.execute("INSERT INTO users VALUES ($1)", &[&id])
            .await
            .unwrap();
        let data = format!("{{\"id\":{id}}}");
        for entity in ["7", "8", "9", "9"] {
            let seen = event("user.seen", "acme", entity, &data);
            publish(&tx, &prefix, None, &seen).await.unwrap();
        }
        match commits {
            true => tx.commit().await.unwrap(),
            false => tx.rollback().await.unwrap(),
        }
    }
    // Nobody ended this one.
    let tx = client.transaction().await.unwrap();
    let lost = event("user.seen", "acme", "7", "{}");
    publish(&tx, &prefix, None, &lost).await.unwrap();
    drop(tx);

    assert_eq!(site.rows("SELECT id FROM users").await, ["2"]);
    let found = "SELECT entity_id, entity_version, event_data, stream FROM outbox ORDER BY id";
    let row = |entity, version| format!("{entity}|{version}|{{\"id\":2}}|events");
    let expected = [row(7, 1), row(8, 1), row(9, 1), row(9, 2)];
    assert_eq!(site.rows(found).await, expected);
}

/// Whatever the order of the events: their keys are locked in one.
#[tokio::test]
async fn transactions_that_share_keys_never_end_each_other() {
    let site = Site::make("").await;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..4_usize {
        let mut client = site.open().await;
        writers.spawn(async move {
            for round in 0..50 {
                let tx = client.transaction().await.unwrap();
                let keys = (0..6).map(|n| (n * (1 + 4 * (writer % 2)) + writer + round) % 6);
                let events: Vec<_> = keys
                    .map(|key| event("user.seen", "acme", &key.to_string(), "{}"))
                    .collect();
                let ids = publish_all(&tx, &Prefix::default(), None, &events).await;
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

/// The id that is returned is the one that was given, or that of the row.
#[tokio::test]
async fn what_is_published_says_what_it_was_given() {
    let site = Site::make("").await;
    let prefix = Prefix::default();
    let mut client = site.open().await;
    let tx = client.transaction().await.unwrap();
    let plain = event("user.created", "acme", "7", "{}");
    let drawn = publish(&tx, &prefix, None, &plain).await.unwrap();
    let mut named = event("user.created", "acme", "7", "{}");
    named.id = EventId::new("e-1").ok();
    named.partition_key = PartitionKey::new("household").ok();
    named.timestamp = Some("2020-01-01T00:00:00Z".into());
    let given = publish(&tx, &prefix, Some(&stream("others")), &named).await;
    assert_eq!(given.unwrap().as_str(), "e-1");
    tx.commit().await.unwrap();
    let found = "SELECT event_id, stream, partition_key, occurred_at = '2020-01-01T00:00:00Z'
                 FROM outbox ORDER BY id";
    let expected = [
        format!("{drawn}|events|7|0"),
        "e-1|others|household|1".into(),
    ];
    assert_eq!(site.rows(found).await, expected);
}

/// One that is there already, and one that is too long: neither is in the outbox, nor is anything else
/// of the transaction.
#[tokio::test]
async fn an_event_that_is_refused_takes_its_transaction_along() {
    let site = Site::make("").await;
    let prefix = Prefix::default();
    let mut client = site.open().await;
    let mut named = event("user.created", "acme", "7", "{}");
    named.id = EventId::new("e-1").ok();
    let tx = client.transaction().await.unwrap();
    publish(&tx, &prefix, None, &named).await.unwrap();
    tx.commit().await.unwrap();

    let mut long = event("user.created", "acme", "7", "{}");
    long.published_by = "x".repeat(1_025);
    let mut other = named.clone();
    other.entity = event("user.created", "acme", "8", "{}").entity;
    for (refused, kind) in [
        (&named, ErrorKind::Conflict),
        (&other, ErrorKind::Conflict),
        (&long, ErrorKind::Invalid),
    ] {
        let tx = client.transaction().await.unwrap();
        let first = event("user.seen", "acme", "7", "{}");
        publish(&tx, &prefix, None, &first).await.unwrap();
        let error = publish(&tx, &prefix, None, refused).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        // The server makes a rollback of it, whether it said so before or not.
        drop(tx);
    }
    assert_eq!(site.rows("SELECT event_id FROM outbox").await, ["e-1"]);
}
