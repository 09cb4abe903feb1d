use millstream_core::error::ErrorKind;
use millstream_core::event::{Json, Targets};
use millstream_core::lease::Leases;
use millstream_core::name::{EventId, PartitionKey};
use millstream_core::outbox::{Inserted, Outbox};

use super::{event, insert, number, text, tops};
use crate::sample::{app, stream};
use crate::suite::Site;

/// An id that is there already is left out, within a call and across calls, and counted.
pub async fn an_event_is_inserted_once<S: Site>() {
    let site = S::make("").await;
    let outbox = site.connect().await;
    let named = |id: &str, n: u32| {
        let mut event = event("acme", "7", &format!("{{\"n\":{n}}}"));
        event.id = Some(EventId::new(id).unwrap());
        event
    };
    let insert = |events: Vec<_>| {
        let outbox = &outbox;
        async move { outbox.insert(&stream("events"), &events).await.unwrap() }
    };
    let counts = |added, repeated| Inserted { added, repeated };
    assert_eq!(
        insert(vec![named("a", 1), named("b", 2)]).await,
        counts(2, 0)
    );
    assert_eq!(
        insert(vec![named("b", 3), named("c", 4), named("c", 5)]).await,
        counts(1, 2)
    );
    assert_eq!(insert(vec![]).await, counts(0, 0));
    // Ids differ in each byte.
    assert_eq!(
        insert(vec![named("A", 6), named("a ", 7)]).await,
        counts(2, 0)
    );

    let mut tops = tops(&outbox).await;
    let found = |rows: Vec<millstream_core::outbox::OutboxRow>| -> Vec<_> {
        rows.iter()
            .map(|row| {
                format!(
                    "{} {} {}",
                    text(&row.event_id),
                    text(&row.data),
                    row.entity_version
                )
            })
            .collect()
    };
    let rows = number(&outbox, &mut tops, 100).await;
    let expected = [
        "a {\"n\":1} 1",
        "b {\"n\":2} 2",
        "c {\"n\":4} 3",
        "A {\"n\":6} 4",
        "a  {\"n\":7} 5",
    ];
    assert_eq!(found(rows), expected, "what is left out takes no version");
    // Also once they were numbered.
    assert_eq!(insert(vec![named("a", 8)]).await, counts(0, 1));
    assert_eq!(number(&outbox, &mut tops, 100).await, []);
}

/// One that cannot be written, and none is.
pub async fn all_events_are_inserted_or_none<S: Site>() {
    let site = S::make("").await;
    let outbox = site.connect().await;
    let mut bad = event("acme", "7", "{}");
    bad.published_by = "x".repeat(1_025);
    let events = [event("acme", "7", "{}"), bad, event("acme", "7", "{}")];
    let error = outbox.insert(&stream("events"), &events).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(error.to_string().contains("published_by"), "{error}");
    assert_eq!(outbox.unsent(&stream("events")).await.unwrap(), 0);
}

/// Each field counts; what is not given is as a plain INSERT has it.
pub async fn an_inserted_event_says_what_it_was_given<S: Site>() {
    let site = S::make("").await;
    let outbox = site.connect().await;
    let mut full = event("acme", "7", r#"{"a":1}"#);
    full.target = Targets::Only(vec![app("crm"), app("billing")]);
    full.partition_key = Some(PartitionKey::new("household").unwrap());
    full.version = "2.0".into();
    full.published_by = "Łucja".into();
    full.metadata = Json::parse(r#"{"correlationId":"c"}"#).unwrap();
    full.timestamp = Some("2020-01-01T00:00:00Z".into());
    let events = [full, event("acme", "7", "{}")];
    outbox.insert(&stream("events"), &events).await.unwrap();
    site.execute(&insert("acme", "7", "{}")).await.unwrap();

    let rows = number(&outbox, &mut tops(&outbox).await, 10).await;
    let said = [
        &rows[0].target,
        &rows[0].partition_key,
        &rows[0].version,
        &rows[0].published_by,
        &rows[0].metadata,
        &rows[0].timestamp,
    ];
    let expected = [
        "crm,billing",
        "household",
        "2.0",
        "Łucja",
        r#"{"correlationId":"c"}"#,
        "2020-01-01T00:00:00Z",
    ];
    assert_eq!(said.map(|bytes| text(bytes)), expected);

    let (given, plain) = (&rows[1], &rows[2]);
    let shown = |row: &millstream_core::outbox::OutboxRow| {
        [
            &row.target,
            &row.partition_key,
            &row.version,
            &row.published_by,
            &row.metadata,
        ]
        .map(|bytes| text(bytes).to_owned())
    };
    assert_eq!(shown(given), shown(plain));
    assert_eq!(text(&given.event_id).len(), text(&plain.event_id).len());
    assert_eq!(text(&given.timestamp).len(), text(&plain.timestamp).len());
}

/// All of it works beside an application's own table of the same name.
pub async fn a_prefix_is_part_of_every_name<S: Site>() {
    let site = S::make("sync_").await;
    site.execute("CREATE TABLE outbox (mine INTEGER)")
        .await
        .unwrap();
    site.execute(&insert("acme", "7", "{}").replace("outbox", "sync_outbox"))
        .await
        .unwrap();
    let outbox = site.connect().await;
    assert_eq!(outbox.identity().await.unwrap().application, app("hr"));
    outbox
        .insert(&stream("events"), &[event("acme", "7", "{}")])
        .await
        .unwrap();
    let rows = number(&outbox, &mut tops(&outbox).await, 10).await;
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[1].entity_version, 2);
    assert_eq!(site.rows("SELECT count(*) FROM outbox").await, ["0"]);
    let pending = "SELECT count(*) FROM sync_event_tracking WHERE status = 'pending'";
    assert_eq!(site.rows(pending).await, ["2"]);
}
