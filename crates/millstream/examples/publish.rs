//! Publishes an event in the application's own transaction: both are committed, or neither is.

use anyhow::Result;
use millstream::core::name::{EntityId, EventType, TenantId};
use millstream::rusqlite::{Connection, Transaction};
use millstream::{App, Json, NewEvent, sqlite};

#[tokio::main]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("crm.db");
    let mut db = Connection::open(&file)?;
    db.execute_batch("CREATE TABLE users (id TEXT PRIMARY KEY, name TEXT NOT NULL)")?;

    // Makes our tables beside the application's own; `outbox` is the one to publish by.
    let crm =
        App::new("crm", &format!("sqlite:{}", file.display()))?.publish_to("inter-app-events")?;
    crm.migrate().await?;

    let tx = db.transaction()?;
    hire(&tx, "7", "Ann")?;
    tx.commit()?;

    let tx = db.transaction()?;
    hire(&tx, "8", "Bob")?;
    tx.rollback()?;

    // One event waits for the relay, which `crm.relay(&transport)` or `millstream run` starts.
    let stream = &crm.publishes()[0].name;
    assert_eq!(crm.database().unsent(stream).await?, 1);
    Ok(())
}

/// What happens, and the word about it.
fn hire(tx: &Transaction<'_>, id: &str, name: &str) -> Result<()> {
    tx.execute("INSERT INTO users (id, name) VALUES (?1, ?2)", [id, name])?;
    let data = millstream::serde_json::json!({ "name": name });
    let event = NewEvent::new(
        EventType::new("user.created")?,
        TenantId::new("acme")?,
        EntityId::new(id)?,
        Json::parse(data.to_string())?,
    );
    sqlite::publish(tx, &event)?;
    Ok(())
}

#[test]
fn runs() -> Result<()> {
    main()
}
