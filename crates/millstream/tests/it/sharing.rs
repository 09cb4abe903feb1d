//! Several processes of one application.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::site::{Site, consume, event, eventually, relay};

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
