//! An event whose row somebody else has locked, for longer than a statement waits.

use std::time::Duration;

use anyhow::Result;
use millstream::core::delivery::Outcome;
use millstream::engine::status::{FeedStatus, State};
use millstream_testkit::server::Postgres;
use tokio_postgres::NoTls;

use crate::site::{EMPLOYEES, Site, consume, event, eventually, relay};

struct Place {
    site: Site,
    server: Postgres,
}

impl Place {
    async fn new() -> Result<Self> {
        let server = Postgres::start_default().await?;
        server.rows(EMPLOYEES).await?;
        let url = format!("{}?options=-c%20lock_timeout%3D100", server.url());
        let mut site = Site::with_hr_at(&url, 1).await?;
        site.hr = site.hr.clone().stuck_after(Duration::ZERO);
        Ok(Self { site, server })
    }

    async fn rows(&self, sql: &str) -> Result<Vec<String>> {
        self.server.rows(sql).await
    }

    async fn employees(&self) -> Result<Vec<String>> {
        self.rows("SELECT user_id || '=' || name FROM employees ORDER BY user_id")
            .await
    }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

/// The others go on, and it is applied in its order once the lock is gone.
#[tokio::test]
async fn a_locked_row_holds_up_its_own_key_alone() -> Result<()> {
    let place = Place::new().await?;
    let site = &place.site;
    let relay = relay(&site.crm, &site.transport);
    site.publish(&[event("a", "1", "Ann"), event("b", "2", "Bea")])
        .await?;
    let consumer = consume(&site.hr, &site.transport);
    eventually(texts(&["1=Ann", "2=Bea"]), async || place.employees().await).await?;

    let (mut locker, connection) = tokio_postgres::connect(&place.server.url(), NoTls).await?;
    let connection = tokio::spawn(connection);
    let lock = locker.transaction().await?;
    lock.execute("SELECT FROM employees WHERE user_id = '2' FOR UPDATE", &[])
        .await?;
    site.publish(&[
        event("c", "1", "Ada"),
        event("d", "2", "Bob"),
        event("e", "3", "Cid"),
        event("f", "2", "Ben"),
        event("g", "4", "Dan"),
    ])
    .await?;
    let others = ["1=Ada", "2=Bea", "3=Cid", "4=Dan"];
    eventually(texts(&others), async || place.employees().await).await?;
    let parked =
        "SELECT event_id || ' ' || outcome || ' ' || attempts FROM dead_letters ORDER BY id";
    assert_eq!(place.rows(parked).await?, ["d blocked 0", "f blocked 0"]);
    consumer
        .until(|status| status.counts.get(Outcome::Blocked) == 2)
        .await?;
    // Nor does what others wait for count toward their deadline meanwhile.
    consumer
        .until(|status| status.feeds.values().any(|feed| feed.obstructed))
        .await?;
    // What comes later is not held up again.
    site.publish(&[event("h", "1", "Amy")]).await?;
    let others = ["1=Amy", "2=Bea", "3=Cid", "4=Dan"];
    eventually(texts(&others), async || place.employees().await).await?;

    lock.rollback().await?;
    let all = ["1=Amy", "2=Ben", "3=Cid", "4=Dan"];
    eventually(texts(&all), async || place.employees().await).await?;
    assert_eq!(place.rows(parked).await?, [""; 0]);
    drop(locker);
    connection.await??;
    consumer.stop().await?;
    relay.stop().await
}

/// Where nothing can be written, no event is at fault.
#[tokio::test]
async fn a_database_that_takes_nothing_is_an_outage() -> Result<()> {
    let place = Place::new().await?;
    let site = &place.site;
    let relay = relay(&site.crm, &site.transport);
    let consumer = consume(&site.hr, &site.transport);
    site.publish(&[event("a", "1", "Ann")]).await?;
    eventually(texts(&["1=Ann"]), async || place.employees().await).await?;

    let (mut locker, connection) = tokio_postgres::connect(&place.server.url(), NoTls).await?;
    let connection = tokio::spawn(connection);
    let lock = locker.transaction().await?;
    lock.execute("LOCK TABLE millstream_shards IN SHARE MODE", &[])
        .await?;
    site.publish(&[event("b", "1", "Ada"), event("c", "2", "Bob")])
        .await?;
    consumer
        .until(|status| !status.feeds.values().all(is_running))
        .await?;
    // For longer than it takes to suspect an event.
    tokio::time::sleep(Duration::from_secs(6)).await;
    lock.rollback().await?;
    eventually(texts(&["1=Ada", "2=Bob"]), async || place.employees().await).await?;
    assert_eq!(consumer.handle.status().counts.get(Outcome::Blocked), 0);
    let outcomes = "SELECT event_id || ' ' || outcome FROM millstream_inbox ORDER BY seq";
    let expected = ["a applied", "b applied", "c applied"];
    assert_eq!(place.rows(outcomes).await?, expected);
    drop(locker);
    connection.await??;
    consumer.stop().await?;
    relay.stop().await
}

fn is_running(feed: &FeedStatus) -> bool {
    feed.state == State::Running
}
