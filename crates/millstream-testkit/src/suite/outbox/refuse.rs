use super::insert;
use super::{number, tops};
use crate::suite::Site;

/// One bad row, and none of its statement's rows is there.
pub async fn a_statement_is_taken_or_refused_as_a_whole<S: Site>() {
    let site = S::make("").await;
    let sql = "INSERT INTO outbox (event_type, tenant_id, entity_id, event_data)
               VALUES ('user.updated', 'acme', '7', '{}'), ('user.updated', 'acme', '8', '[]')";
    site.execute(sql).await.unwrap_err();
    assert_eq!(site.rows("SELECT count(*) FROM outbox").await, ["0"]);
}

/// The error names the column that is wrong.
pub async fn what_is_no_event_is_refused<S: Site>() {
    let site = S::make("").await;
    let long = "x".repeat(256);
    let longer = "x".repeat(1025);
    let huge = format!("{{\"a\":\"{}\"}}", "x".repeat(256 * 1024));
    let bad = [
        ("event_data", "", "event_data"),
        ("event_data", "{", "event_data"),
        ("event_data", "[1]", "event_data"),
        ("event_data", "null", "event_data"),
        ("event_data", "{} {}", "event_data"),
        ("event_data", &huge, "event_data"),
        ("metadata", "7", "metadata"),
        ("metadata", "{\"a\":}", "metadata"),
        ("tenant_id", "", "tenant_id"),
        ("tenant_id", &long, "tenant_id"),
        ("entity_id", "", "entity_id"),
        ("entity_id", &long, "entity_id"),
        ("event_type", "", "event_type"),
        ("event_type", &long, "event_type"),
        ("event_id", "", "event_id"),
        ("event_id", &long, "event_id"),
        ("partition_key", "", "partition_key"),
        ("partition_key", &long, "partition_key"),
        ("published_by", &longer, "published_by"),
        ("version", &longer, "version"),
        ("target_application", &longer, "target_application"),
        ("occurred_at", &longer, "occurred_at"),
    ];
    for (column, value, named) in bad {
        let mut columns = vec![
            ("event_type", "user.updated"),
            ("tenant_id", "acme"),
            ("entity_id", "7"),
            ("event_data", "{}"),
        ];
        columns.retain(|(name, _)| *name != column);
        columns.push((column, value));
        let (names, values): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
        let sql = format!(
            "INSERT INTO outbox ({}) VALUES ('{}')",
            names.join(", "),
            values.join("', '")
        );
        let error = site.execute(&sql).await.expect_err(column);
        assert!(error.contains(named), "{column}: {error}");
    }
    for column in ["event_type", "tenant_id", "entity_id", "event_data"] {
        let sql = insert("acme", "7", "{}").replace(column, "metadata");
        let error = site.execute(&sql).await.expect_err(column);
        assert!(error.contains(column), "{column}: {error}");
    }
    assert_eq!(site.rows("SELECT count(*) FROM outbox").await, ["0"]);
}

/// Numbers are given by the relay, versions and ids by the table; whoever sets them is told so.
pub async fn what_is_ours_cannot_be_set<S: Site>() {
    let site = S::make("").await;
    for (column, value) in [
        ("id", 7),
        ("id", -1),
        ("id", 0),
        ("entity_version", 9),
        ("shard", 0),
        ("generation", 9),
        ("seq", 9),
    ] {
        let sql = format!(
            "INSERT INTO outbox (event_type, tenant_id, entity_id, event_data, {column})
             VALUES ('user.updated', 'acme', '7', '{{}}', {value})"
        );
        let error = site.execute(&sql).await.unwrap_err().to_string();
        assert!(
            error.contains("not for applications to set"),
            "{column}: {error}"
        );
    }
    assert_eq!(site.rows("SELECT count(*) FROM outbox").await, ["0"]);
}

/// What was numbered belongs to the stream: tidying up, correcting and repeating change nothing.
pub async fn what_was_sent_stays_as_it_is<S: Site>() {
    let site = S::make("").await;
    let outbox = site.connect().await;
    let with_id = |id: &str, data: &str| {
        format!(
            "INTO outbox (event_id, event_type, tenant_id, entity_id, event_data)
             VALUES ('{id}', 'user.updated', 'acme', '7', '{data}')"
        )
    };
    let sent = with_id("sent", "{}");
    site.execute(&format!("INSERT {sent}")).await.unwrap();
    number(&outbox, &mut tops(&outbox).await, 10).await;
    site.execute(&format!("INSERT {}", with_id("unsent", "{}")))
        .await
        .unwrap();

    for refused in [
        "DELETE FROM outbox".to_owned(),
        "DELETE FROM outbox WHERE seq IS NOT NULL".to_owned(),
        "UPDATE outbox SET event_data = '{}' WHERE event_id = 'sent'".to_owned(),
        "UPDATE outbox SET seq = NULL".to_owned(),
        format!("INSERT {}", with_id("sent", r#"{"other":1}"#)),
        format!("INSERT OR REPLACE {}", with_id("sent", r#"{"other":1}"#)),
    ] {
        let error = site.execute(&refused).await.unwrap_err().to_string();
        assert!(error.contains("sent"), "{refused}: {error}");
    }
    // The same event again is no other event.
    site.execute(&format!("INSERT {sent}")).await.unwrap();
    site.execute(&format!("INSERT OR REPLACE {sent}"))
        .await
        .unwrap();
    let found = site
        .rows("SELECT id, event_id, seq IS NULL FROM outbox ORDER BY id")
        .await;
    assert_eq!(found, ["1|sent|0", "2|unsent|1"]);

    // What was not sent yet is the application's own.
    site.execute("DELETE FROM outbox WHERE seq IS NULL")
        .await
        .unwrap();
}
