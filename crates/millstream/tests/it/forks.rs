//! A publisher's database that was restored: nothing is silently passed over.

use std::fs;

use anyhow::Result;
use millstream::NewEvent;
use millstream::core::lease::Feed;
use millstream::engine::status::{State, Status};

use crate::site::{self, Site, consume, event, rows, shard};

fn forked(status: &Status) -> bool {
    let feed = status.feeds.get(&Feed::Owned(shard(0)));
    feed.is_some_and(|feed| matches!(feed.state, State::Forked(_)))
}

fn named(word: &str, range: std::ops::RangeInclusive<u64>) -> Vec<NewEvent> {
    range
        .map(|n| {
            event(
                &format!("{word}{n}"),
                &n.to_string(),
                &format!("{word} {n}"),
            )
        })
        .collect()
}

/// What is gone besides the rows that the backup lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lost {
    Nothing,
    Log,
}

async fn assert_forks(lost: Lost, rows_since: u64) -> Result<()> {
    let site = Site::new().await?;
    let relay = site::relay(&site.crm, &site.transport);
    let consumer = consume(&site.hr, &site.transport);
    site.publish(&named("a", 1..=3)).await?;
    site.settled("hr", 3).await?;
    let backup = site.back_up("crm.db")?;
    site.publish(&named("b", 4..=6)).await?;
    site.settled("hr", 6).await?;
    relay.stop().await?;

    site.restore(&backup, "crm.db")?;
    if lost == Lost::Log {
        fs::remove_file(site.path("log/events.db"))?;
    }
    if rows_since > 0 {
        site.publish(&named("c", 1..=rows_since)).await?;
    }
    let relay = site::relay(&site.crm, &site.transport);
    relay.until(forked).await?;
    relay.stop().await?;
    let applied = || -> Result<Vec<String>> {
        Ok(site
            .inbox()?
            .into_iter()
            .map(|row| row.replace(" applied", ""))
            .collect())
    };
    assert_eq!(applied()?, ["a1", "a2", "a3", "b4", "b5", "b6"]);

    // A person decides that the restored database is the truth from now on.
    let crm = site.crm.clone().begin_generation(true);
    let relay = site::relay(&crm, &site.transport);
    site.publish(&named("d", 7..=7)).await?;
    let feed = Feed::Owned(shard(0));
    consumer
        .until(|status| {
            status.feeds.get(&feed).is_some_and(|feed| {
                feed.state == State::Running && feed.at.high == 2 && feed.at.low > rows_since
            })
        })
        .await?;
    let mut expected: Vec<String> = ["a1", "a2", "a3", "b4", "b5", "b6"].map(Into::into).into();
    expected.extend((1..=rows_since).map(|n| format!("c{n}")));
    expected.push("d7".into());
    assert_eq!(applied()?, expected);
    consumer.stop().await?;
    relay.stop().await?;

    // The next start is an ordinary one.
    let relay = site::relay(&site.crm, &site.transport);
    let consumer = consume(&site.hr, &site.transport);
    site.publish(&named("e", 8..=8)).await?;
    expected.push("e8".into());
    site::eventually(expected, async || applied()).await?;
    let generations = rows(
        &site.path("crm.db"),
        "SELECT DISTINCT cast(generation AS TEXT) FROM millstream_shards WHERE role = 'relay'",
    )?;
    assert_eq!(generations, ["2"]);
    consumer.stop().await?;
    relay.stop().await
}

#[tokio::test]
async fn a_restored_publisher_stops_and_goes_on_as_a_new_generation() -> Result<()> {
    assert_forks(Lost::Nothing, 0).await
}

#[tokio::test]
async fn a_restored_publisher_with_new_rows_stops_before_it_sends_them() -> Result<()> {
    assert_forks(Lost::Nothing, 5).await
}

#[tokio::test]
async fn a_follower_tells_a_restored_publisher_that_lost_the_log_too() -> Result<()> {
    assert_forks(Lost::Log, 0).await
}

#[tokio::test]
async fn a_follower_tells_it_though_the_same_numbers_are_in_use_again() -> Result<()> {
    assert_forks(Lost::Log, 3).await
}

/// Shards in which nothing ever happened have nothing to wait for, nor to be refused for.
#[tokio::test]
async fn quiet_shards_outlive_a_new_generation() -> Result<()> {
    let site = Site::with(4, "10s").await?;
    let relay = site::relay(&site.crm, &site.transport);
    let consumer = consume(&site.hr, &site.transport);
    site.publish(&[event("a1", "1", "Ann"), event("a2", "1", "Anna")])
        .await?;
    consumer.until(|status| status.counts.total() == 2).await?;
    let backup = site.back_up("crm.db")?;
    site.publish(&[event("b1", "1", "Bea")]).await?;
    consumer.until(|status| status.counts.total() == 3).await?;
    relay.stop().await?;
    site.restore(&backup, "crm.db")?;
    let crm = site.crm.clone().begin_generation(true);
    let relay = site::relay(&crm, &site.transport);
    site.checked(3).await?;
    let running = |status: &Status| {
        let mut states = status.feeds.values().map(|feed| &feed.state);
        status.feeds.len() >= 4 && states.all(|state| *state == State::Running)
    };
    relay.until(running).await?;
    for n in 0..16 {
        site.publish(&[event(&format!("c{n}"), &n.to_string(), "Cid")])
            .await?;
    }
    consumer.until(|status| status.counts.total() >= 19).await?;
    consumer.until(running).await?;
    consumer.stop().await?;
    let consumer = consume(&site.hr, &site.transport);
    consumer.until(running).await?;
    consumer.stop().await?;
    relay.stop().await
}

/// What a new generation left out, since all had settled it, is not there for one that went back.
#[tokio::test]
async fn a_follower_restored_to_before_a_generation_is_not_silently_short() -> Result<()> {
    let site = Site::new().await?;
    let relay = site::relay(&site.crm, &site.transport);
    let consumer = consume(&site.hr, &site.transport);
    site.publish(&named("a", 1..=2)).await?;
    site.settled("hr", 2).await?;
    let old = site.back_up("hr.db")?;
    site.publish(&named("b", 3..=5)).await?;
    site.settled("hr", 5).await?;
    let backup = site.back_up("crm.db")?;
    site.publish(&named("c", 6..=6)).await?;
    site.settled("hr", 6).await?;
    relay.stop().await?;
    site.restore(&backup, "crm.db")?;
    let crm = site.crm.clone().begin_generation(true);
    let relay = site::relay(&crm, &site.transport);
    site.publish(&named("d", 7..=7)).await?;
    let feed = Feed::Owned(shard(0));
    consumer
        .until(|status| {
            status
                .feeds
                .get(&feed)
                .is_some_and(|feed| feed.at.high == 2)
        })
        .await?;
    consumer.stop().await?;

    site.restore(&old, "hr.db")?;
    let consumer = consume(&site.hr, &site.transport);
    consumer
        .until(|status| {
            status.feeds.get(&feed).is_some_and(
                |feed| matches!(&feed.state, State::Stalled(why) if why.contains("1-2")),
            )
        })
        .await?;
    assert_eq!(site.inbox()?, ["a1 applied", "a2 applied"]);
    consumer.stop().await?;
    relay.stop().await
}
