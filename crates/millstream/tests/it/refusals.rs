//! What is refused before it can do harm, and what the message says to do.

use anyhow::Result;
use millstream::engine::{consumer, relay};

use crate::site::{self, Site, consume, event, rows};

#[tokio::test]
async fn another_number_of_shards_is_refused() -> Result<()> {
    let site = Site::with(2, "10s").await?;
    let first = site::relay(&site.crm, &site.transport);
    first.until(|status| status.feeds.len() == 2).await?;
    first.stop().await?;

    let crm = site::app(&site.configured(3)?, "crm");
    let refusal = site::relay(&crm, &site.transport).refusal().await?;
    assert!(matches!(
        refusal,
        relay::Error::ShardsChanged {
            found: 2,
            configured: 3,
            ..
        }
    ));
    assert!(refusal.to_string().contains("Set shards = 2"), "{refusal}");

    let crm = site::app(&site.configured(2)?, "crm");
    let relay = site::relay(&crm, &site.transport);
    relay.until(|status| status.feeds.len() == 2).await?;
    relay.stop().await
}

#[tokio::test]
async fn a_group_of_another_database_is_refused_unless_it_is_taken_over() -> Result<()> {
    let site = Site::new().await?;
    let relay = site::relay(&site.crm, &site.transport);
    let first = consume(&site.hr, &site.transport);
    site.publish(&[event("a", "1", "Ann"), event("b", "2", "Bob")])
        .await?;
    first.until(|status| status.counts.total() == 2).await?;
    first.stop().await?;

    let anew = site.hr_anew("hr2.db").await?;
    let refusal = consume(&anew, &site.transport).refusal().await?;
    assert!(
        matches!(refusal, consumer::Error::GroupHeld { .. }),
        "{refusal}"
    );
    let inbox = "SELECT event_id FROM millstream_inbox ORDER BY seq";
    assert!(rows(&site.path("hr2.db"), inbox)?.is_empty());

    let second = consume(&anew.clone().take_over(true), &site.transport);
    second.until(|status| status.counts.total() == 2).await?;
    second.stop().await?;
    assert_eq!(rows(&site.path("hr2.db"), inbox)?, ["a", "b"]);

    // From now on the group is the new database's, and the old one is the stranger.
    let third = consume(&anew, &site.transport);
    third.until(|status| !status.feeds.is_empty()).await?;
    third.stop().await?;
    let refusal = consume(&site.hr, &site.transport).refusal().await?;
    assert!(
        matches!(refusal, consumer::Error::GroupHeld { .. }),
        "{refusal}"
    );
    relay.stop().await
}

#[tokio::test]
async fn a_database_of_another_application_is_refused() -> Result<()> {
    let site = Site::new().await?;
    let text = std::fs::read_to_string(site.path("millstream.toml"))?;
    let swapped = text
        .replace("hr.db", "x.db")
        .replace("crm.db", "hr.db")
        .replace("x.db", "crm.db");
    std::fs::write(site.path("swapped.toml"), swapped)?;
    let config = millstream::Config::load(site.path("swapped.toml"))?;

    let refusal = consume(&site::app(&config, "hr"), &site.transport)
        .refusal()
        .await?;
    assert!(
        refusal
            .to_string()
            .contains("belongs to application crm, not to hr"),
        "{refusal}"
    );
    let refusal = site::relay(&site::app(&config, "crm"), &site.transport)
        .refusal()
        .await?;
    assert!(
        refusal
            .to_string()
            .contains("belongs to application hr, not to crm"),
        "{refusal}"
    );
    Ok(())
}
