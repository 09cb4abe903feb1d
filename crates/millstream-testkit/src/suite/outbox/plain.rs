use super::{insert, number, text, tops};
use crate::suite::Site;

/// Four columns; everything else follows.
pub async fn a_plain_insert_is_enough<S: Site>() {
    let site = S::make("").await;
    let outbox = site.connect().await;
    for _ in 0..2 {
        site.execute(&insert("acme", "7", r#"{"name":"Ada"}"#))
            .await
            .unwrap();
    }
    let rows = number(&outbox, &mut tops(&outbox).await, 10).await;
    assert_eq!(rows.len(), 2);
    assert_ne!(rows[0].event_id, rows[1].event_id);
    for row in &rows {
        assert_is_uuid_v7(text(&row.event_id));
        assert_is_moment(text(&row.timestamp));
        assert_eq!(text(&row.event_type), "user.updated");
        assert_eq!(text(&row.tenant), "acme");
        assert_eq!(text(&row.entity), "7");
        assert_eq!(text(&row.partition_key), "7");
        assert_eq!(text(&row.data), r#"{"name":"Ada"}"#);
        assert_eq!(text(&row.target), "*");
        assert_eq!(text(&row.version), "1.0");
        assert_eq!(text(&row.published_by), "system");
        assert_eq!(text(&row.metadata), "{}");
    }
    let found = site
        .rows("SELECT DISTINCT stream, partition_key FROM outbox")
        .await;
    assert_eq!(found, ["events|7"]);
}

/// Each column that an application may set counts as it was set.
pub async fn a_plain_insert_may_say_everything<S: Site>() {
    let site = S::make("").await;
    let outbox = site.connect().await;
    site.execute(
        r#"INSERT INTO outbox (event_id, stream, event_type, tenant_id, entity_id, event_data,
             target_application, partition_key, version, published_by, metadata, occurred_at)
           VALUES ('e-1', 'events', 'user.created', 'acme', '7', '{"a":1}', 'crm,billing',
             'household-3', '2.1', 'O''Brien', '{"traceparent":"x"}', '2020-02-29T12:00:00+01:00')"#,
    )
    .await
    .unwrap();
    let row = number(&outbox, &mut tops(&outbox).await, 10)
        .await
        .remove(0);
    let said = [
        row.event_id,
        row.event_type,
        row.tenant,
        row.entity,
        row.data,
        row.target,
        row.partition_key,
        row.version,
        row.published_by,
        row.metadata,
        row.timestamp,
    ];
    let expected = [
        "e-1",
        "user.created",
        "acme",
        "7",
        r#"{"a":1}"#,
        "crm,billing",
        "household-3",
        "2.1",
        "O'Brien",
        r#"{"traceparent":"x"}"#,
        "2020-02-29T12:00:00+01:00",
    ];
    assert_eq!(said.each_ref().map(|bytes| text(bytes)), expected);
}

/// As they stand in it, each with an id of its own.
pub async fn rows_of_one_statement_keep_their_order<S: Site>() {
    let site = S::make("").await;
    let outbox = site.connect().await;
    let values: Vec<String> = (1..=20)
        .map(|n| format!("('user.updated', 'acme', '{}', '{{\"n\":{n}}}')", n % 2))
        .collect();
    let columns = "event_type, tenant_id, entity_id, event_data";
    let sql = format!(
        "INSERT INTO outbox ({columns}) VALUES {}",
        values.join(", ")
    );
    site.execute(&sql).await.unwrap();

    let rows = number(&outbox, &mut tops(&outbox).await, 100).await;
    let data: Vec<_> = rows.iter().map(|row| text(&row.data).to_owned()).collect();
    let expected: Vec<_> = (1..=20).map(|n| format!("{{\"n\":{n}}}")).collect();
    assert_eq!(data, expected);
    let versions: Vec<_> = rows.iter().map(|row| row.entity_version).collect();
    let expected: Vec<_> = (2..=21).map(|n| n / 2).collect();
    assert_eq!(versions, expected);
    let ids: std::collections::HashSet<_> = rows.iter().map(|row| &row.event_id).collect();
    assert_eq!(ids.len(), 20);
}

/// The event is there if and only if what the application wrote with it is.
pub async fn a_rolled_back_transaction_leaves_nothing<S: Site>() {
    let site = S::make("").await;
    let outbox = site.connect().await;
    site.execute("CREATE TABLE users (id INTEGER PRIMARY KEY)")
        .await
        .unwrap();
    for (id, end) in [(1, "ROLLBACK"), (2, "COMMIT"), (3, "ROLLBACK")] {
        let event = insert("acme", "7", &format!("{{\"id\":{id}}}"));
        let sql = format!("BEGIN; INSERT INTO users VALUES ({id}); {event} {end};");
        site.execute(&sql).await.unwrap();
    }
    assert_eq!(site.rows("SELECT id FROM users").await, ["2"]);
    let rows = number(&outbox, &mut tops(&outbox).await, 10).await;
    let found: Vec<_> = rows
        .iter()
        .map(|row| (text(&row.data), row.entity_version, row.at.low))
        .collect();
    assert_eq!(
        found,
        [("{\"id\":2}", 1, 1)],
        "no version and no seq was lost"
    );
}

#[track_caller]
fn assert_is_uuid_v7(id: &str) {
    let parts: Vec<_> = id.split('-').collect();
    let lengths: Vec<_> = parts.iter().map(|part| part.len()).collect();
    assert_eq!(lengths, [8, 4, 4, 4, 12], "{id}");
    let lower_hex = |c: char| c.is_ascii_hexdigit() && !c.is_ascii_uppercase();
    assert!(parts.iter().all(|part| part.chars().all(lower_hex)), "{id}");
    assert!(parts[2].starts_with('7'), "{id}: version 7");
    assert!(
        parts[3].starts_with(['8', '9', 'a', 'b']),
        "{id}: the variant"
    );
    let millis = u64::from_str_radix(&format!("{}{}", parts[0], parts[1]), 16).unwrap();
    // Between the years 2020 and 2100.
    assert!(
        (1_577_836_800_000..4_102_444_800_000).contains(&millis),
        "{id}: its time"
    );
}

/// RFC 3339, in UTC.
#[track_caller]
fn assert_is_moment(text: &str) {
    let form: String = text
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    assert!(
        form.starts_with("0000-00-00T00:00:00") && form.ends_with('Z'),
        "{text}"
    );
}
