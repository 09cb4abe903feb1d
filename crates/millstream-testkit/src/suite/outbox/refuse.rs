use millstream_core::clock::Timestamp;
use millstream_core::entry::EntryId;
use millstream_core::outbox::Outbox;

use super::{NOW, SHARDS, all, insert, number, tops};
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
        ("entity_version", 9),
        ("shard", 0),
        ("generation", 9),
        ("seq", 9),
        ("numbered_at", 9),
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

    // To some databases 0 says that an id is to be drawn.
    let sql = "INSERT INTO outbox (event_type, tenant_id, entity_id, event_data, id)
               VALUES ('user.updated', 'acme', '7', '{}', 0)";
    match site.execute(sql).await {
        Ok(()) => assert_eq!(site.rows("SELECT id > 0 FROM outbox").await, ["1"]),
        Err(error) => assert!(error.contains("not for applications to set"), "{error}"),
    }
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
        S::replace(&with_id("sent", r#"{"other":1}"#)),
    ] {
        let error = site.execute(&refused).await.unwrap_err().to_string();
        assert!(error.contains("sent"), "{refused}: {error}");
    }
    // The same event again is no other event: it is left out where a trigger can do that, or refused.
    for again in [format!("INSERT {sent}"), S::replace(&sent)] {
        if let Err(error) = site.execute(&again).await {
            assert!(error.contains("sent"), "{again}: {error}");
        }
    }
    let found = site
        .rows("SELECT id, event_id, seq IS NULL FROM outbox ORDER BY id")
        .await;
    assert_eq!(found, ["1|sent|0", "2|unsent|1"]);

    // What was not sent yet is the application's own.
    site.execute("DELETE FROM outbox WHERE seq IS NULL")
        .await
        .unwrap();
}

/// What is not pruned yet is kept, whether or not something before it is gone.
pub async fn only_what_was_pruned_is_gone<S: Site>() {
    let site = S::make("").await;
    let outbox = site.connect().await;
    let mut held = tops(&outbox).await;
    for _ in 0..4 {
        site.execute(&insert("acme", "7", "{}")).await.unwrap();
    }
    let shard = usize::from(number(&outbox, &mut held, 3).await[0].shard);
    let later = Timestamp::from_millis(NOW.as_millis() + 1);
    let through = EntryId::new(1, 2);
    let pruned = outbox.prune(&held[shard], through, later, 9).await.unwrap();
    assert_eq!(pruned, through);
    for refused in ["DELETE FROM outbox", "DELETE FROM outbox WHERE seq = 3"] {
        let error = site.execute(refused).await.unwrap_err();
        assert!(error.contains("sent"), "{refused}: {error}");
    }
    let found = site.rows("SELECT id, seq FROM outbox ORDER BY id").await;
    assert_eq!(found, ["3|3", "4|NULL"]);
}

/// An application takes no number away and gives none, and whatever else a row says stays: before a
/// new generation and after it.
pub async fn numbers_go_with_their_generation_alone<S: Site>() {
    const BARE: &str = "shard = NULL, generation = NULL, seq = NULL, numbered_at = NULL";

    let site = S::make("").await;
    let outbox = site.connect().await;
    let mut held = tops(&outbox).await;
    for _ in 0..3 {
        site.execute(&insert("acme", "7", "{}")).await.unwrap();
    }
    let shard = usize::from(number(&outbox, &mut held, 9).await[0].shard);
    let refuse = |changes: Vec<String>| {
        let site = &site;
        async move {
            let before = site.rows("SELECT * FROM outbox ORDER BY id").await;
            for change in changes {
                let sql = format!("UPDATE outbox SET {change} WHERE seq = 1");
                let error = site.execute(&sql).await.unwrap_err();
                assert!(error.contains("sent"), "{sql}: {error}");
            }
            let error = site.execute("DELETE FROM outbox WHERE seq = 1").await;
            assert!(error.unwrap_err().contains("sent"));
            let after = site.rows("SELECT * FROM outbox ORDER BY id").await;
            assert_eq!(after, before);
        }
    };
    refuse(vec![BARE.into(), "numbered_at = 1".into()]).await;

    let mut settled = [EntryId::ZERO; SHARDS as usize];
    settled[shard] = EntryId::new(1, 2);
    let begun = outbox.begin_generation(&held, &settled, 0).await.unwrap();
    for (lease, checkpoint) in held.iter_mut().zip(begun) {
        lease.checkpoint = checkpoint;
    }
    let mut changes: Vec<String> = [
        "seq = NULL",
        "generation = NULL, seq = NULL, numbered_at = NULL",
        "shard = NULL, seq = NULL, numbered_at = NULL",
        "shard = NULL, generation = NULL, numbered_at = NULL",
        "shard = NULL, generation = NULL, seq = NULL",
        "generation = 2",
        "seq = 7",
        "numbered_at = NULL",
        "event_data = '{\"other\":1}'",
    ]
    .map(Into::into)
    .into();
    let others = [
        "id = 99",
        "event_id = 'other'",
        "stream = 'other'",
        "event_type = 'other'",
        "tenant_id = 'other'",
        "entity_id = 'other'",
        "event_data = '{\"other\":1}'",
        "target_application = 'other'",
        "partition_key = 'other'",
        "version = 'other'",
        "published_by = 'other'",
        "metadata = '{\"other\":1}'",
        "occurred_at = 'other'",
        "entity_version = 99",
    ];
    changes.extend(others.map(|other| format!("{BARE}, {other}")));
    refuse(changes).await;

    // The new generation's own numbers are as fast as any.
    let again = number(&outbox, &mut held, 9).await;
    assert_eq!(again[0].at, EntryId::new(2, 1));
    let sql = format!("UPDATE outbox SET {BARE} WHERE generation = 2");
    let error = site.execute(&sql).await.unwrap_err();
    assert!(error.contains("sent"), "{error}");
    assert_eq!(all(&outbox, again[0].shard).await.len(), 3);
}
