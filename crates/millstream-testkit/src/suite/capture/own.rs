use millstream_core::capture::{Capture as _, Source as Table};
use millstream_core::change::Op;
use millstream_core::store::Store as _;

use super::steps::{PEOPLE, people, ready, told};
use crate::suite::Site;
use crate::suite::store::{Consumer, Source, event, spec};

const ACCOUNTS: &str = "CREATE TABLE accounts (
    tenant_id VARCHAR(64) NOT NULL, id VARCHAR(64) NOT NULL, balance INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id))";

/// How events of others become people.
fn mapping() -> millstream_core::mapping::Spec {
    spec(
        "person.set",
        Op::Upsert,
        "people",
        &["tenant_id = tenantId", "id = entityId"],
        &["name = data.name", "age = data.age"],
    )
}

/// Neither by mappings nor by handlers, while the application's are, before, after and between.
pub async fn our_own_changes_are_not_captured<S: Site>() {
    let (site, handle) = ready::<S>().await;
    site.execute(ACCOUNTS).await.unwrap();
    site.execute("INSERT INTO accounts VALUES ('acme', '7', 1)")
        .await
        .unwrap();
    let accounts = Table {
        event: "account".into(),
        table: "accounts".into(),
        ..people()
    };
    handle.capture(&accounts).await.unwrap();
    let mut source = Source::shard(0);
    let mut consumer = Consumer::start(handle, source.feed(), vec![mapping()]).await;
    for round in 0..2 {
        let age = format!("UPDATE people SET age = {}", 40 + round);
        site.execute(&age).await.unwrap();
        let data = format!("{{\"name\":\"Ann\",\"age\":{round}}}");
        let entries = [
            source.send(&event("person.set", "acme", "7", &data)),
            source.send(&event("account.credited", "acme", "7", r#"{"amount":5}"#)),
        ];
        consumer.apply(&entries).await.unwrap();
    }
    assert_eq!(
        site.rows("SELECT balance FROM accounts").await,
        ["11"],
        "the handler has worked"
    );
    site.execute("UPDATE accounts SET balance = 0")
        .await
        .unwrap();
    site.execute("UPDATE people SET age = 50").await.unwrap();
    assert_eq!(
        told(&site).await,
        [
            // Changed between our two batches.
            "person.updated acme 7 age",
            "account.updated acme 7 balance",
            "person.updated acme 7 age",
        ]
    );
}

/// The batch is begun again, and halved.
pub async fn our_own_changes_are_not_captured_where_an_event_fails<S: Site>() {
    let (site, handle) = ready::<S>().await;
    let mut source = Source::shard(0);
    let mut consumer = Consumer::start(handle, source.feed(), vec![mapping()]).await;
    let entries: Vec<_> = (0..20)
        .map(|number| {
            let age = if number == 13 { "\"old\"" } else { "1" };
            let data = format!("{{\"age\":{age}}}");
            source.send(&event("person.set", "acme", &number.to_string(), &data))
        })
        .collect();
    consumer.apply(&entries).await.unwrap();
    assert_eq!(site.rows("SELECT count(*) FROM people").await, ["19"]);
    assert_eq!(told(&site).await, [""; 0]);
    site.execute("DELETE FROM people WHERE id = '1'")
        .await
        .unwrap();
    assert_eq!(told(&site).await, ["person.deleted acme 1"]);
}

/// Our triggers do not count as ones that reach other rows.
pub async fn captured_tables_are_written_as_fast_as_others<S: Site>() {
    let site = S::make("").await;
    site.execute(PEOPLE).await.unwrap();
    let handle = site.connect().await;
    let before = handle.tables(&["people".into()]).await.unwrap();
    handle.capture(&people()).await.unwrap();
    let after = handle.tables(&["people".into()]).await.unwrap();
    let related = |tables: &[Option<millstream_core::store::Table>]| {
        tables[0].as_ref().map(|table| table.related)
    };
    assert_eq!(related(&before), Some(false));
    assert_eq!(related(&after), Some(false));
}
