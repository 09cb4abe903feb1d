//! What a network does to bytes.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use millstream_testkit::proxy::{Mode, Way};

use super::place::{Place, STUCK_MAX, is_paused, runs};
use crate::site::{consume, event, eventually, relay, rows};

/// Everything settles soon after the network is well again.
async fn settles_after(mode: Mode, is_noticed: bool) -> Result<()> {
    let place = Place::new(2).await?;
    let relay = relay(&place.site.crm, &place.site.transport);
    let consumer = consume(&place.site.hr, &place.site.transport);
    place.publish(1..=10).await?;
    place.settled(10).await?;
    place.blocked(2).await?;
    place.proxy.set(mode);
    place.publish(11..=20).await?;
    if is_noticed {
        relay.until(is_paused).await?;
        place.publish(21..=30).await?;
    } else {
        place.settled(20).await?;
        place.publish(21..=30).await?;
    }
    place.proxy.set(Mode::Pass);
    let settled = async {
        place.settled(30).await?;
        relay.until(runs).await?;
        consumer.until(runs).await
    };
    let settled = tokio::time::timeout(STUCK_MAX, settled).await;
    settled.context("stuck")??;
    assert_eq!(relay.handle.status().repairs, 0);
    consumer.stop().await?;
    relay.stop().await
}

#[tokio::test]
async fn everything_settles_over_a_slow_network() -> Result<()> {
    settles_after(Mode::Delay(Duration::from_millis(150)), false).await
}

/// What was asked in vain arrives in the end, late: after others have done it.
#[tokio::test]
async fn everything_settles_after_nothing_reached_the_server() -> Result<()> {
    settles_after(Mode::BlackHole(Way::Up), true).await
}

#[tokio::test]
async fn everything_settles_after_nothing_came_from_the_server() -> Result<()> {
    settles_after(Mode::BlackHole(Way::Down), true).await
}

/// Connections that are open on one side only.
#[tokio::test]
async fn everything_settles_after_connections_were_half_open() -> Result<()> {
    settles_after(Mode::BlackHole(Way::Both), true).await
}

#[tokio::test]
async fn everything_settles_over_connections_that_are_reset_and_half_closed() -> Result<()> {
    let place = Place::new(2).await?;
    let relay = relay(&place.site.crm, &place.site.transport);
    let consumer = consume(&place.site.hr, &place.site.transport);
    let mut top = 0;
    for way in [None, Some(Way::Down), None, Some(Way::Up), Some(Way::Both)] {
        place.publish(top + 1..=top + 10).await?;
        top += 10;
        match way {
            None => place.proxy.cut().await,
            Some(way) => place.proxy.half_close(way).await,
        }
        let settled = tokio::time::timeout(STUCK_MAX, place.settled(top));
        settled.await.context("stuck")??;
    }
    consumer.stop().await?;
    relay.stop().await
}

/// Replies come in pieces of one byte, and so do requests.
#[tokio::test]
async fn bytes_that_travel_one_by_one_are_put_together() -> Result<()> {
    let place = Place::new(1).await?;
    place.proxy.set(Mode::OneByte);
    let relay = relay(&place.site.crm, &place.site.transport);
    let consumer = consume(&place.site.hr, &place.site.transport);
    // Among them what looks like the protocol itself.
    let names = ["", "\r\n", "$-1\r\n*2\r\n", "naïve", "\u{1f98a}", "+OK\r\n"];
    let events: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(id, name)| event(&format!("e{}", id + 1), &id.to_string(), name))
        .collect();
    place.site.publish(&events).await?;
    place.settled(names.len() as u64).await?;
    let hr = place.site.path("hr.db");
    let found = rows(&hr, "SELECT name FROM employees ORDER BY user_id")?;
    assert_eq!(found, names);
    consumer.stop().await?;
    relay.stop().await
}

/// A server that closes connections whose client is handed more than that at once.
#[tokio::test]
async fn replies_beyond_the_servers_limit_come_in_smaller_pages() -> Result<()> {
    const EVENTS: u64 = 60;
    let place = Place::new(1).await?;
    place
        .run(&[
            "CONFIG",
            "SET",
            "client-output-buffer-limit",
            "normal 300000 0 0",
        ])
        .await?;
    let relay = relay(&place.site.crm, &place.site.transport);
    let name = "x".repeat(64 * 1024);
    let large: Vec<_> = (1..=EVENTS)
        .map(|id| event(&format!("e{id}"), &id.to_string(), &name))
        .collect();
    place.site.publish(&large).await?;
    relay.until(|status| status.sent == EVENTS).await?;
    let consumer = consume(&place.site.hr, &place.site.transport);
    place.settled(EVENTS).await?;
    let log = std::fs::read_to_string(place.server.folder().join("server.log"))?;
    let closed = log.matches("output buffer limits").count();
    assert!((1..10).contains(&closed), "{closed}");
    consumer.stop().await?;
    relay.stop().await
}

/// A network that comes and goes: what it lets through moves on, and nobody storms it.
#[tokio::test]
async fn a_flapping_network_moves_on_without_a_storm() -> Result<()> {
    const PHASE: Duration = Duration::from_millis(200);
    const MOVED_ON: u64 = 3;
    const PHASES_MIN: u64 = 15;
    const PHASES_MAX: u64 = 150;
    let place = Place::new(1).await?;
    let relay = relay(&place.site.crm, &place.site.transport);
    let consumer = consume(&place.site.hr, &place.site.transport);
    place.publish([1]).await?;
    place.settled(1).await?;

    let before = place.proxy.counts();
    let mut wave = tokio::time::interval(PHASE);
    let (mut top, mut phases, mut meanwhile) = (1, 0, 0);
    while phases < PHASES_MIN || meanwhile < MOVED_ON {
        assert!(phases < PHASES_MAX, "only {meanwhile} of {top} moved on");
        phases += 1;
        wave.tick().await;
        place.proxy.go_away().await;
        place.publish([top + 1]).await?;
        top += 1;
        wave.tick().await;
        place.proxy.set(Mode::Pass);
        // What arrived in the last phase may still be on its way.
        meanwhile = place.site.inbox()?.len() as u64;
    }
    let tried = place.proxy.counts().connections - before.connections;
    // Three to six connections are in use, and each is opened anew in each phase at most, after few
    // tries in vain.
    assert!(tried <= 8 * phases, "{tried} connections");

    let well = Instant::now();
    place.settled(top).await?;
    assert!(well.elapsed() < STUCK_MAX, "{:?}", well.elapsed());
    eventually(true, async || Ok(runs(&relay.handle.status()))).await?;
    consumer.stop().await?;
    relay.stop().await
}
