//! Applications that insert by themselves, in sessions that are not as strict as ours.

use millstream_testkit::suite::Site as _;
use mysql_async::prelude::Queryable as _;

use super::Database;

/// A session that cuts values to fit, or ignores errors, writes no event that was cut or is none.
#[tokio::test]
async fn a_lax_session_writes_no_half_events() {
    let site = Database::make("").await;
    let mut lax = site.open().await;
    lax.query_drop("SET SESSION sql_mode = ''").await.unwrap();
    let long = "é".repeat(2_000);
    for insert in ["INSERT", "INSERT IGNORE"] {
        for (entity, data) in [
            (long.as_str(), "{}"),
            ("7", "[]"),
            ("7", "{\"a\":"),
            ("", "{}"),
        ] {
            let sql = format!(
                "{insert} INTO outbox (event_type, tenant_id, entity_id, event_data)
                 VALUES ('user.updated', 'acme', ?, ?)"
            );
            let done = lax.exec_drop(sql, (entity, data)).await;
            assert!(done.is_err() || insert == "INSERT IGNORE", "{data}");
        }
        let missing = format!("{insert} INTO outbox (event_type, tenant_id) VALUES ('x', 'acme')");
        let done = lax.query_drop(missing).await;
        assert!(done.is_err() || insert == "INSERT IGNORE");
    }
    assert_eq!(site.rows("SELECT count(*) FROM outbox").await, ["0"]);
}

/// However it is inserted: each event has a version of its own, and its key counts on.
#[tokio::test]
async fn lax_inserts_change_no_version() {
    let site = Database::make("").await;
    let mut lax = site.open().await;
    lax.query_drop("SET SESSION sql_mode = ''").await.unwrap();
    for insert in ["INSERT", "INSERT IGNORE", "REPLACE", "INSERT"] {
        let event = "('user.updated', 'acme', '7', '{}')";
        let columns = "event_type, tenant_id, entity_id, event_data";
        let sql = format!("{insert} INTO outbox ({columns}) VALUES {event}, {event}");
        lax.query_drop(sql).await.unwrap();
    }
    let found = "SELECT count(*), count(DISTINCT event_id), count(DISTINCT entity_version),
                        max(entity_version) FROM outbox";
    assert_eq!(site.rows(found).await, ["8|8|8|8"]);
}
