//! Tables that are altered while somebody writes to them.

use millstream_core::error::ErrorKind;

use super::{Consumer, event, mappings, ready};
use crate::suite::Site;

const FOUND: &str = "SELECT id, name, age FROM people ORDER BY id";

/// A value that another row has under a key which is not known yet: nothing is settled, and no row but the
/// meant one can be changed. Described again, the event is in conflict, as it always was.
pub async fn a_unique_key_that_is_added_changes_no_other_row<S: Site>() {
    for size in [1, 3] {
        let (site, mut source, mut consumer) = ready::<S>().await;
        let first = [source.send(&event(
            "person.set",
            "acme",
            "1",
            r#"{"name":"Ann","age":1}"#,
        ))];
        assert_eq!(consumer.settle(&first).await, "1 applied");
        site.execute("CREATE UNIQUE INDEX names ON people (name)")
            .await
            .unwrap();
        let entries = source.send_all([
            &event("person.set", "acme", "2", r#"{"name":"Ann","age":2}"#),
            &event("person.set", "acme", "3", r#"{"name":"Cid","age":3}"#),
            &event("account.opened", "acme", "7", r#"{"balance":1}"#),
        ]);
        let error = consumer.apply(&entries[..size]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Outdated, "{error}");
        assert!(error.to_string().contains("people"), "{error}");
        assert_eq!(site.rows(FOUND).await, ["1|Ann|1"]);
        assert_eq!(site.rows("SELECT * FROM accounts").await, [""; 0]);
        assert_eq!(site.rows("SELECT count(*) FROM dead_letters").await, ["0"]);

        let store = site.connect().await;
        let mut consumer = Consumer::start(store, source.feed(), mappings()).await;
        assert_eq!(consumer.settle(&entries).await, "2 applied, 1 retrying");
        assert_eq!(site.rows(FOUND).await, ["1|Ann|1", "3|Cid|3"]);
    }
}

/// Whatever changes about the table; other tables are written to as before.
pub async fn an_altered_table_is_to_be_described_again<S: Site>() {
    let (site, mut source, mut consumer) = ready::<S>().await;
    site.execute("ALTER TABLE people ADD COLUMN note VARCHAR(9)")
        .await
        .unwrap();
    let other = [source.send(&event("account.opened", "acme", "7", r#"{"balance":1}"#))];
    assert_eq!(consumer.settle(&other).await, "1 applied");
    let entries = [source.send(&event(
        "person.set",
        "acme",
        "1",
        r#"{"name":"Ann","age":1}"#,
    ))];
    let error = consumer.apply(&entries).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Outdated, "{error}");
    assert_eq!(site.rows(FOUND).await, [""; 0]);

    let store = consumer.store;
    let mut consumer = Consumer::start(store, source.feed(), mappings()).await;
    assert_eq!(consumer.settle(&entries).await, "1 applied");
}

/// An event that fails for what was altered is not to blame.
pub async fn no_event_is_dead_for_a_table_that_was_altered<S: Site>() {
    let (site, mut source, mut consumer) = ready::<S>().await;
    site.execute(
        "ALTER TABLE people ADD COLUMN note VARCHAR(9) NOT NULL DEFAULT 'x' CHECK (note <> 'x')",
    )
    .await
    .unwrap();
    let entries = [source.send(&event(
        "person.set",
        "acme",
        "1",
        r#"{"name":"Ann","age":1}"#,
    ))];
    let error = consumer.apply(&entries).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Outdated, "{error}");
    assert_eq!(site.rows("SELECT count(*) FROM dead_letters").await, ["0"]);
}
