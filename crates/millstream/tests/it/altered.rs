//! HR's table is altered while events arrive.

use anyhow::Result;
use millstream::core::delivery::Outcome;
use millstream::rusqlite::Connection;

use crate::site::{EMPLOYEES, Site, consume, event, eventually, raw_event, relay};

fn alter(site: &Site, sql: &str) -> Result<()> {
    Ok(Connection::open(site.path("hr.db"))?.execute_batch(sql)?)
}

/// Feeds go on by what the table is now, and nobody has to start anything again. An event that fits no
/// column as it was is not dead for that.
#[tokio::test]
async fn an_altered_table_is_described_again() -> Result<()> {
    let site = Site::with(2, "10s").await?;
    let relay = relay(&site.crm, &site.transport);
    let consumer = consume(&site.hr, &site.transport);
    let applied = async |count| {
        consumer
            .until(|status| status.counts.get(Outcome::Applied) == count)
            .await
    };
    site.publish(&[event("a", "1", "Ann"), event("b", "2", "Bea")])
        .await?;
    applied(2).await?;
    alter(&site, "ALTER TABLE employees ADD COLUMN note TEXT")?;
    site.publish(&[event("c", "1", "Cid"), event("d", "2", "Dan")])
        .await?;
    applied(4).await?;
    let as_text = EMPLOYEES.replace("salary INTEGER", "salary TEXT");
    alter(&site, &format!("DROP TABLE employees; {as_text}"))?;
    site.publish(&[raw_event("e", "1", r#"{"name":"Eve","salary":"much"}"#)])
        .await?;
    applied(5).await?;
    assert_eq!(site.employees()?, ["acme/1=Eve,much"]);
    consumer.stop().await?;
    relay.stop().await
}

/// It waits, says why, and goes on by itself once the table fits again.
#[tokio::test]
async fn a_table_that_mappings_do_not_fit_is_waited_for() -> Result<()> {
    let site = Site::new().await?;
    let relay = relay(&site.crm, &site.transport);
    let consumer = consume(&site.hr, &site.transport);
    site.publish(&[event("a", "1", "Ann")]).await?;
    eventually(vec!["acme/1=Ann,-".to_owned()], async || site.employees()).await?;
    let without_key = EMPLOYEES.replace(", PRIMARY KEY (tenant_id, user_id)", "");
    alter(&site, &format!("DROP TABLE employees; {without_key}"))?;
    site.publish(&[event("b", "1", "Bea")]).await?;
    consumer
        .until(|status| {
            status
                .paused
                .as_ref()
                .is_some_and(|reason| reason.contains("employees"))
        })
        .await?;
    assert_eq!(consumer.handle.status().counts.total(), 1);

    alter(&site, &format!("DROP TABLE employees; {EMPLOYEES}"))?;
    consumer
        .until(|status| status.paused.is_none() && status.counts.get(Outcome::Applied) == 2)
        .await?;
    assert_eq!(site.employees()?, ["acme/1=Bea,-"]);
    consumer.stop().await?;
    relay.stop().await
}
