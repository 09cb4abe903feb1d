//! Events that conflict with other rows wait for those.

use std::time::Duration;

use anyhow::Result;
use millstream::core::delivery::Outcome;
use millstream::core::lease::Feed;
use millstream::core::outbox::NewEvent;
use millstream::rusqlite::Connection;

use crate::site::{Site, consume, event, eventually, raw_event, relay, rows};

/// HR's `employees`, whose salaries are rows of another table.
fn grades(site: &Site) -> Result<()> {
    Connection::open(site.path("hr.db"))?.execute_batch(
        "CREATE TABLE grades (salary INTEGER PRIMARY KEY);
         DROP TABLE employees;
         CREATE TABLE employees (
           tenant_id TEXT, user_id TEXT, name TEXT, salary INTEGER REFERENCES grades (salary),
           PRIMARY KEY (tenant_id, user_id));",
    )?;
    Ok(())
}

fn salary(id: &str, entity: &str, salary: u32) -> NewEvent {
    let data = format!(r#"{{"name":"n{id}","salary":{salary}}}"#);
    raw_event(id, entity, &data)
}

#[tokio::test]
async fn a_child_is_applied_once_its_parent_comes() -> Result<()> {
    let site = Site::with(2, "10s").await?;
    grades(&site)?;
    let relay = relay(&site.crm, &site.transport);
    let consumer = consume(&site.hr, &site.transport);
    site.publish(&[
        salary("a", "1", 5),
        event("b", "1", "Bea"),
        event("c", "2", "Cid"),
    ])
    .await?;
    eventually(3, async || Ok(site.inbox()?.len())).await?;
    consumer
        .until(|status| status.counts.get(Outcome::Retrying) == 1)
        .await?;
    assert_eq!(site.employees()?, ["acme/2=Cid,-"]);
    // The publisher hears of it, though nothing more is settled.
    let exceptions = || {
        rows(
            &site.path("crm.db"),
            "SELECT outcome FROM millstream_exceptions ORDER BY seq",
        )
    };
    eventually(
        vec!["retrying".to_owned(), "blocked".to_owned()],
        async || exceptions(),
    )
    .await?;

    Connection::open(site.path("hr.db"))?.execute_batch("INSERT INTO grades VALUES (5)")?;
    consumer
        .until(|status| status.counts.get(Outcome::Applied) == 3)
        .await?;
    assert_eq!(site.employees()?, ["acme/1=Bea,5", "acme/2=Cid,-"]);
    eventually(Vec::<String>::new(), async || exceptions()).await?;
    consumer.stop().await?;
    relay.stop().await
}

/// The next owner of the feed goes on with what its predecessor left, also on the shared stream.
#[tokio::test]
async fn what_waits_outlives_a_restart() -> Result<()> {
    let site = Site::new().await?;
    grades(&site)?;
    let direct = site.crm.direct(&site.transport);
    direct.publish(&site.stream(), &salary("a", "1", 5)).await?;
    direct
        .publish(&site.stream(), &event("b", "1", "Bea"))
        .await?;
    let first = consume(&site.hr, &site.transport);
    eventually(2, async || Ok(site.inbox()?.len())).await?;
    first.kill().await;

    Connection::open(site.path("hr.db"))?.execute_batch("INSERT INTO grades VALUES (5)")?;
    let second = consume(&site.hr, &site.transport);
    let feed = Feed::Shared(site.stream());
    second
        .until(|status| status.feeds.contains_key(&feed))
        .await?;
    eventually(vec!["acme/1=Bea,5".to_owned()], async || site.employees()).await?;
    assert_eq!(site.inbox()?, ["a applied", "b applied"]);
    second.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_conflict_is_dead_after_its_deadline() -> Result<()> {
    let site = Site::with(1, "10s").await?;
    grades(&site)?;
    let relay = relay(&site.crm, &site.transport);
    let hr = site.hr.clone().conflict_deadline(Duration::from_millis(1));
    let consumer = consume(&hr, &site.transport);
    site.publish(&[salary("a", "1", 5), event("b", "2", "Bob")])
        .await?;
    consumer
        .until(|status| status.counts.get(Outcome::Dead) == 1)
        .await?;
    assert_eq!(site.inbox()?, ["a dead", "b applied"]);
    consumer.stop().await?;
    relay.stop().await
}
