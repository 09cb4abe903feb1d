//! Applications that insert by themselves, with clauses that say what a conflict does.

use millstream_testkit::suite::Site;

use super::File;

const VALUES: &str = "INTO outbox (event_type, tenant_id, entity_id, event_data) VALUES";
const CLAUSES: [&str; 6] = [
    "INSERT",
    "INSERT OR IGNORE",
    "INSERT OR REPLACE",
    "INSERT OR FAIL",
    "INSERT OR ABORT",
    "REPLACE",
];

/// Such a clause counts within triggers as well: what numbers the versions of a key must not mind.
#[tokio::test]
async fn clauses_of_inserts_change_no_version() {
    let site = File::make("").await;
    for clause in CLAUSES {
        let event = "('user.updated', 'acme', '7', '{}')";
        let insert = format!("{clause} {VALUES} {event}, {event}");
        site.execute(&insert).await.unwrap();
    }
    let found = "SELECT count(*), count(DISTINCT event_id), count(DISTINCT entity_version),
                        max(entity_version), sum(stream = 'events') FROM outbox";
    let count = 2 * CLAUSES.len();
    let expected = format!("{count}|{count}|{count}|{count}|{count}");
    assert_eq!(site.rows(found).await, [expected]);
}

/// What is no event is in no way half in the outbox.
#[tokio::test]
async fn clauses_of_inserts_let_nothing_in_that_is_no_event() {
    let site = File::make("").await;
    let long = "x".repeat(256);
    for clause in CLAUSES {
        for (entity, data) in [("7", "[]"), ("7", "{"), ("", "{}"), (&*long, "{}")] {
            let insert =
                format!("{clause} {VALUES} ('user.updated', 'acme', '{entity}', '{data}')");
            let done = site.execute(&insert).await;
            assert!(done.is_err() || clause == "INSERT OR IGNORE", "{insert}");
        }
        let missing = format!("{clause} INTO outbox (event_type, tenant_id) VALUES ('x', 'acme')");
        let done = site.execute(&missing).await;
        assert!(done.is_err() || clause == "INSERT OR IGNORE", "{missing}");
    }
    assert_eq!(site.rows("SELECT count(*) FROM outbox").await, ["0"]);
}
