//! Keeps a table of one application in step with what happens in another, without code.

use anyhow::Result;
use millstream::core::name::{EntityId, EventType, TenantId};
use millstream::rusqlite::Connection;
use millstream::{App, CancellationToken, Json, NewEvent, Op, Spec, ValueSpec};

#[tokio::main]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let at = |file| format!("sqlite:{}", folder.path().join(file).display());
    let hr_db = Connection::open(folder.path().join("hr.db"))?;
    hr_db.execute_batch(
        "CREATE TABLE employees (tenant TEXT, id TEXT, name TEXT, PRIMARY KEY (tenant, id))",
    )?;

    let path = |column: &str, path: &str| (column.to_owned(), ValueSpec::Path(path.to_owned()));
    let crm = App::new("crm", &at("crm.db"))?.publish_to("inter-app-events")?;
    let hr = App::new("hr", &at("hr.db"))?
        .subscribe("inter-app-events")?
        .map(Spec {
            on: vec!["user.created".into(), "user.updated".into()],
            table: "employees".into(),
            key: vec![path("tenant", "tenantId"), path("id", "entityId")],
            set: vec![path("name", "data.name")],
            op: Op::Upsert,
            when: None,
        });
    crm.migrate().await?;
    hr.migrate().await?;

    // An application would do this in a transaction of its own: see the example `publish`.
    let event = |kind: &str, name: &str| -> Result<NewEvent> {
        let data = Json::parse(format!(r#"{{"name":"{name}"}}"#))?;
        Ok(NewEvent::new(
            EventType::new(kind)?,
            TenantId::new("acme")?,
            EntityId::new("7")?,
            data,
        ))
    };
    let events = [
        event("user.created", "Ann")?,
        event("user.updated", "Anna")?,
    ];
    crm.database()
        .insert(&crm.publishes()[0].name, &events)
        .await?;

    // Each process may run either part; here both run in one.
    let transport = millstream::connect(&at("events.db")).await?;
    let stop = CancellationToken::new();
    let (relay, consumer) = (crm.relay(&transport), hr.consumer(&transport)?);
    let handle = consumer.handle();
    let services = tokio::spawn({
        let stop = stop.clone();
        async move { tokio::join!(relay.run(stop.clone()), consumer.run(stop)) }
    });
    handle.wait_until(|status| status.counts.total() == 2).await;
    stop.cancel();
    let (relay, consumer) = services.await?;
    relay?;
    consumer?;

    let name: String = hr_db.query_one("SELECT name FROM employees", [], |row| row.get(0))?;
    assert_eq!(name, "Anna");
    Ok(())
}

#[test]
fn runs() -> Result<()> {
    main()
}
