use super::insert;
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

/// Numbers are given by the relay, versions by the trigger, whatever the application says.
pub async fn what_is_ours_cannot_be_set<S: Site>() {
    let site = S::make("").await;
    site.execute(
        "INSERT INTO outbox (event_type, tenant_id, entity_id, event_data,
                             entity_version, shard, generation, seq)
         VALUES ('user.updated', 'acme', '7', '{}', 9, 0, 9, 9)",
    )
    .await
    .unwrap();
    let found = site
        .rows("SELECT entity_version, shard, generation, seq FROM outbox")
        .await;
    assert_eq!(found, ["1|NULL|NULL|NULL"]);
}
