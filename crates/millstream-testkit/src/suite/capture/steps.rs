use millstream_core::capture::{Capture as _, Source};
use serde_json::Value;

use crate::suite::Site;

/// A table of an application that knows nothing of us.
pub(super) const PEOPLE: &str = "CREATE TABLE people (
    tenant_id VARCHAR(64) NOT NULL, id VARCHAR(64) NOT NULL, name VARCHAR(255), age INTEGER,
    PRIMARY KEY (tenant_id, id))";

/// All columns of [`PEOPLE`].
pub(super) fn people() -> Source {
    Source {
        tenant: Some("tenant_id".into()),
        ..source("people")
    }
}

/// All columns of a table whose rows are persons of no tenant.
pub fn source(table: &str) -> Source {
    Source {
        event: "person".into(),
        table: table.into(),
        tenant: None,
        entity: "id".into(),
        data: Vec::new(),
    }
}

/// A site where people are captured.
pub(super) async fn ready<S: Site>() -> (S, S::Handle) {
    let site = S::make("").await;
    site.execute(PEOPLE).await.unwrap();
    let handle = site.connect().await;
    handle.capture(&people()).await.unwrap();
    (site, handle)
}

/// An event as the outbox has it.
#[derive(Debug, PartialEq)]
pub(super) struct Event {
    pub(super) event_type: String,
    pub(super) tenant: String,
    pub(super) entity: String,
    pub(super) data: Value,
    pub(super) metadata: Value,
}

/// What the outbox holds, by key and version.
pub(super) async fn events<S: Site>(site: &S) -> Vec<Event> {
    let mut columns = Vec::new();
    for column in [
        "event_type",
        "tenant_id",
        "entity_id",
        "event_data",
        "metadata",
    ] {
        let sql = format!(
            "SELECT {column} FROM outbox ORDER BY tenant_id, partition_key, entity_version"
        );
        columns.push(site.rows(&sql).await);
    }
    let json = |text: &str| serde_json::from_str(text).expect("the outbox holds JSON");
    (0..columns[0].len())
        .map(|at| Event {
            event_type: columns[0][at].clone(),
            tenant: columns[1][at].clone(),
            entity: columns[2][at].clone(),
            data: json(&columns[3][at]),
            metadata: json(&columns[4][at]),
        })
        .collect()
}

/// Type, tenant and entity of each event, and the fields that it says have changed.
pub(super) async fn told<S: Site>(site: &S) -> Vec<String> {
    let events = events(site).await;
    let told = events.iter().map(|event| {
        let mut changed: Vec<&str> = event.metadata["changed"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        changed.sort_unstable();
        let (kind, tenant, entity) = (&event.event_type, &event.tenant, &event.entity);
        format!("{kind} {tenant} {entity} {}", changed.join(","))
    });
    told.map(|line| line.trim_end().to_owned()).collect()
}
