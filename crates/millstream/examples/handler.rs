//! Handles events in code, with the transaction open: an effect happens once, whatever is repeated.

use std::error::Error;

use anyhow::Result;
use millstream::core::name::{EntityId, EventId, EventType, TenantId};
use millstream::rusqlite::{Connection, Transaction};
use millstream::{App, CancellationToken, Event, Json, NewEvent};

/// Not repeatable by itself: what is added twice is there twice.
fn add(event: &Event, tx: &Transaction<'_>) -> Result<(), Box<dyn Error + Send + Sync>> {
    tx.execute(
        "UPDATE accounts SET balance = balance + json_extract(?1, '$.amount') WHERE id = ?2",
        [event.data.as_str(), event.entity.as_str()],
    )?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let at = |file| format!("sqlite:{}", folder.path().join(file).display());
    let db = Connection::open(folder.path().join("billing.db"))?;
    db.execute_batch(
        "CREATE TABLE accounts (id TEXT PRIMARY KEY, balance INTEGER NOT NULL);
         INSERT INTO accounts VALUES ('7', 0)",
    )?;
    let billing = App::new("billing", &at("billing.db"))?
        .subscribe("inter-app-events")?
        .on("credit.allocated", add);
    billing.migrate().await?;
    let transport = millstream::connect(&at("events.db")).await?;

    let mut event = NewEvent::new(
        EventType::new("credit.allocated")?,
        TenantId::new("acme")?,
        EntityId::new("7")?,
        Json::parse(r#"{"amount": 5}"#.to_owned())?,
    );
    event.id = Some(EventId::new("credit-1")?);

    // The event is delivered twice, and between the two the consumer is started anew.
    let crm = App::new("crm", &at("crm.db"))?.direct(&transport);
    for _ in 0..2 {
        let (_, entry) = crm.publish(&billing.subscribes()[0], &event).await?;
        let stop = CancellationToken::new();
        let consumer = billing.consumer(&transport)?;
        let handle = consumer.handle();
        let service = tokio::spawn(consumer.run(stop.clone()));
        handle
            .wait_until(|status| status.feeds.values().any(|feed| feed.at >= entry))
            .await;
        stop.cancel();
        service.await??;
    }

    let balance: i64 = db.query_one("SELECT balance FROM accounts", [], |row| row.get(0))?;
    assert_eq!(balance, 5);
    Ok(())
}

#[test]
fn runs() -> Result<()> {
    main()
}
