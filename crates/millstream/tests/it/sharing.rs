//! Several processes of one application.

use std::time::{Duration, Instant};

use anyhow::Result;
use millstream::rusqlite::Connection;

use crate::site::{Site, consume, event, eventually, relay, rows};

/// Four shards of CRM, and the shared stream.
const FEEDS: usize = 5;

#[tokio::test]
async fn feeds_are_shared_and_handed_over_at_once_on_a_graceful_stop() -> Result<()> {
    let site = Site::with(4, "60s").await?;
    let relay = relay(&site.crm, &site.transport);
    let first = consume(&site.hr, &site.transport);
    first.until(|status| status.feeds.len() == FEEDS).await?;
    let second = consume(&site.hr, &site.transport);
    // Who has which share follows from the names of the instances.
    eventually((true, FEEDS), async || {
        let [mine, yours] = [&first, &second].map(|running| running.handle.status().feeds.len());
        Ok(((2..=3).contains(&mine), mine + yours))
    })
    .await?;

    let events: Vec<_> = (0..100)
        .map(|i| event(&format!("e{i}"), &format!("{:02}", i % 20), "Ann"))
        .collect();
    site.publish(&events[..50]).await?;
    let stopped = Instant::now();
    first.stop().await?;
    second.until(|status| status.feeds.len() == FEEDS).await?;
    assert!(
        stopped.elapsed() < Duration::from_secs(20),
        "{:?}",
        stopped.elapsed()
    );

    site.publish(&events[50..]).await?;
    eventually(100, async || Ok(site.inbox()?.len())).await?;
    assert_eq!(site.employees()?.len(), 20);
    second.stop().await?;
    relay.stop().await
}

#[tokio::test]
async fn feeds_of_an_instance_that_died_are_taken_after_the_lease() -> Result<()> {
    let site = Site::with(4, "1s").await?;
    let relay = relay(&site.crm, &site.transport);
    let first = consume(&site.hr, &site.transport);
    first.until(|status| status.feeds.len() == FEEDS).await?;
    let second = consume(&site.hr, &site.transport);
    second.until(|status| status.feeds.len() >= 2).await?;

    let events: Vec<_> = (0..40)
        .map(|i| event(&format!("e{i}"), &i.to_string(), "Ann"))
        .collect();
    let died = Instant::now();
    first.kill().await;
    site.publish(&events).await?;
    second.until(|status| status.feeds.len() == FEEDS).await?;
    // It beat at most a fifth of the lease before it died, and silence counts from then on.
    assert!(
        died.elapsed() > Duration::from_millis(200),
        "{:?}",
        died.elapsed()
    );

    eventually(40, async || Ok(site.inbox()?.len())).await?;
    assert_eq!(site.employees()?.len(), 40);
    second.stop().await?;
    relay.stop().await
}

/// A shared stream without arrivals writes nothing, so no comparison tells its task that an instance
/// took the lease while this one was stopped.
#[tokio::test]
async fn an_idle_feed_that_another_instance_took_is_given_up() -> Result<()> {
    let site = Site::with(4, "1s").await?;
    let relay = relay(&site.crm, &site.transport);
    let consumer = consume(&site.hr, &site.transport);
    consumer.until(|status| status.feeds.len() == FEEDS).await?;
    let owners = || {
        let owners = "SELECT DISTINCT owner FROM millstream_shards WHERE role = 'consumer'";
        rows(&site.path("hr.db"), owners)
    };
    let mine = owners()?;

    // The other one is gone by now: there is no heartbeat of it.
    Connection::open(site.path("hr.db"))?.execute_batch(
        "UPDATE millstream_shards SET owner = 'other', epoch = epoch + 1 WHERE role = 'consumer'",
    )?;
    assert_eq!(owners()?, ["other"]);
    eventually(mine, async || owners()).await?;
    consumer.until(|status| status.feeds.len() == FEEDS).await?;
    consumer.stop().await?;
    relay.stop().await
}
