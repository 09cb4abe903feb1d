//! Events in the application's own transaction.

use millstream_core::error::ErrorKind;
use millstream_core::name::EventId;
use millstream_sql::identifier::Prefix;
use millstream_sql::sqlite::{publish, publish_all};
use millstream_testkit::suite::Site as _;
use millstream_testkit::suite::store::event;

use super::File;

/// They are there if and only if what was written with them is.
#[tokio::test]
async fn events_are_published_with_the_rows_that_they_tell_of() {
    let site = File::make("").await;
    site.execute("CREATE TABLE users (id INTEGER PRIMARY KEY)")
        .await
        .unwrap();
    let prefix = Prefix::default();
    let mut db = site.open();
    for (id, commits) in [(1, false), (2, true), (3, false)] {
        let tx = db.transaction().unwrap();
        tx.execute("INSERT INTO users VALUES (?1)", [id]).unwrap();
        let data = format!("{{\"id\":{id}}}");
        let one = event("user.created", "acme", "7", &data);
        publish(&tx, &prefix, None, &one).unwrap();
        let more = ["9", "8", "9"].map(|entity| event("user.seen", "acme", entity, &data));
        let ids = publish_all(&tx, &prefix, None, &more).unwrap();
        assert_eq!(ids.len(), 3);
        match commits {
            true => tx.commit().unwrap(),
            false => tx.rollback().unwrap(),
        }
    }
    assert_eq!(site.rows("SELECT id FROM users").await, ["2"]);
    let found = "SELECT entity_id, entity_version, event_data, stream FROM outbox ORDER BY id";
    let row = |entity, version| format!("{entity}|{version}|{{\"id\":2}}|events");
    let expected = [row(7, 1), row(9, 1), row(8, 1), row(9, 2)];
    assert_eq!(site.rows(found).await, expected);
}

/// The ids are those that were given, or of the rows, in the order of the events.
#[tokio::test]
async fn what_is_published_says_what_it_was_given() {
    let site = File::make("").await;
    let mut db = site.open();
    let tx = db.transaction().unwrap();
    let mut named = event("user.created", "acme", "7", "{}");
    named.id = EventId::new("e-1").ok();
    let plain = event("user.seen", "acme", "7", "{}");
    let events = [plain.clone(), named, plain];
    let ids = publish_all(&tx, &Prefix::default(), None, &events).unwrap();
    tx.commit().unwrap();
    let ids: Vec<_> = ids.iter().map(EventId::to_string).collect();
    assert_eq!(ids[1], "e-1");
    let rows = site.rows("SELECT event_id FROM outbox ORDER BY id").await;
    assert_eq!(rows, ids);
}

/// One that is there already, and one that is too long, among others.
#[tokio::test]
async fn an_event_that_is_refused_is_told_among_others() {
    let site = File::make("").await;
    let prefix = Prefix::default();
    let mut db = site.open();
    let mut named = event("user.created", "acme", "7", "{}");
    named.id = EventId::new("e-1").ok();
    let tx = db.transaction().unwrap();
    publish_all(&tx, &prefix, None, &[named.clone()]).unwrap();
    tx.commit().unwrap();

    let mut long = event("user.created", "acme", "7", "{}");
    long.published_by = "x".repeat(1_025);
    for (refused, kind) in [(named, ErrorKind::Conflict), (long, ErrorKind::Invalid)] {
        let tx = db.transaction().unwrap();
        let first = event("user.seen", "acme", "7", "{}");
        let error = publish_all(&tx, &prefix, None, &[first.clone(), refused, first]).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        tx.rollback().unwrap();
    }
    let rows = site
        .rows("SELECT event_id, entity_version FROM outbox")
        .await;
    assert_eq!(rows, ["e-1|1"]);
}
