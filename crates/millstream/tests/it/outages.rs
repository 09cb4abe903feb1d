//! What is away is waited for: everything pauses, says why, and goes on by itself.

use std::fs;

use anyhow::Result;
use millstream::engine::status::{State, Status};
use millstream::rusqlite::Connection;

use crate::site::{Site, consume, event, eventually, relay};

fn is_paused(status: &Status, word: &str) -> bool {
    let feeds = status.feeds.values().filter_map(|feed| match &feed.state {
        State::Paused(reason) => Some(reason),
        _ => None,
    });
    feeds
        .chain(&status.paused)
        .any(|reason| reason.contains(word))
}

fn runs(status: &Status) -> bool {
    status.paused.is_none()
        && !status.feeds.is_empty()
        && status
            .feeds
            .values()
            .all(|feed| feed.state == State::Running)
}

#[tokio::test]
async fn a_locked_database_pauses_its_consumer_until_it_is_free() -> Result<()> {
    let site = Site::new().await?;
    let relay = relay(&site.crm, &site.transport);
    let consumer = consume(&site.hr, &site.transport);
    site.publish(&[event("a", "1", "Ann")]).await?;
    consumer.until(|status| status.counts.total() == 1).await?;

    let db = Connection::open(site.path("hr.db"))?;
    db.execute_batch("BEGIN IMMEDIATE")?;
    site.publish(&[event("b", "2", "Bob")]).await?;
    consumer.until(|status| is_paused(status, "locked")).await?;
    assert_eq!(site.employees()?, ["acme/1=Ann,-"]);

    db.execute_batch("COMMIT")?;
    consumer
        .until(|status| status.counts.total() == 2 && runs(status))
        .await?;
    assert_eq!(site.employees()?, ["acme/1=Ann,-", "acme/2=Bob,-"]);
    consumer.stop().await?;
    relay.stop().await
}

#[tokio::test]
async fn a_database_that_is_missing_is_waited_for() -> Result<()> {
    let site = Site::new().await?;
    for file in ["crm.db", "hr.db"] {
        // With everything that an open connection may have left beside it.
        Connection::open(site.path(file))?.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
        fs::rename(site.path(file), site.path(&format!("{file}.away")))?;
    }
    let relay = relay(&site.crm, &site.transport);
    let consumer = consume(&site.hr, &site.transport);
    relay
        .until(|status| is_paused(status, "crm.db does not exist"))
        .await?;
    consumer
        .until(|status| is_paused(status, "hr.db does not exist"))
        .await?;

    for file in ["crm.db", "hr.db"] {
        fs::rename(site.path(&format!("{file}.away")), site.path(file))?;
    }
    site.publish(&[event("a", "1", "Ann")]).await?;
    consumer
        .until(|status| status.counts.total() == 1 && runs(status))
        .await?;
    relay.until(runs).await?;
    assert_eq!(site.employees()?, ["acme/1=Ann,-"]);
    consumer.stop().await?;
    relay.stop().await
}

#[tokio::test]
async fn a_log_that_is_away_pauses_both_sides_until_it_is_back() -> Result<()> {
    let site = Site::new().await?;
    let relay = relay(&site.crm, &site.transport);
    let consumer = consume(&site.hr, &site.transport);
    site.publish(&[event("a", "1", "Ann")]).await?;
    consumer.until(|status| status.counts.total() == 1).await?;

    // A file in the place of the folder: it can neither be opened nor be made.
    fs::rename(site.path("log"), site.path("log.away"))?;
    fs::write(site.path("log"), "")?;
    site.publish(&[event("b", "2", "Bob")]).await?;
    relay.until(|status| is_paused(status, "events.db")).await?;
    consumer
        .until(|status| is_paused(status, "events.db"))
        .await?;

    fs::remove_file(site.path("log"))?;
    fs::rename(site.path("log.away"), site.path("log"))?;
    consumer
        .until(|status| status.counts.total() == 2 && runs(status))
        .await?;
    relay.until(runs).await?;
    eventually(vec!["a".to_owned(), "b".to_owned()], async || {
        site.sent().await
    })
    .await?;
    assert_eq!(site.inbox()?, ["a applied", "b applied"]);
    consumer.stop().await?;
    relay.stop().await
}

/// Also when nothing new arrives: an idle feed looks whether its database is where it was left.
#[tokio::test]
async fn a_database_that_is_restored_is_brought_up_to_date() -> Result<()> {
    let site = Site::new().await?;
    let relay = relay(&site.crm, &site.transport);
    let consumer = consume(&site.hr, &site.transport);
    site.publish(&[event("a", "1", "Ann")]).await?;
    consumer.until(|status| status.counts.total() == 1).await?;
    let backup = site.path("backup.db");
    Connection::open(site.path("hr.db"))?.execute("VACUUM INTO ?1", [backup.to_string_lossy()])?;
    site.publish(&[event("b", "2", "Bob")]).await?;
    consumer.until(|status| status.counts.total() == 2).await?;

    for file in ["hr.db", "hr.db-wal", "hr.db-shm"] {
        fs::remove_file(site.path(file)).ok();
    }
    fs::rename(backup, site.path("hr.db"))?;
    let all = ["acme/1=Ann,-", "acme/2=Bob,-"].map(str::to_owned).to_vec();
    eventually(all, async || site.employees()).await?;
    consumer.stop().await?;
    relay.stop().await
}
