//! Clocks that are wrong, or made right while things run.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use millstream::core::clock::{Clock, SystemClock, Timestamp};
use millstream::core::log::ReadLimit;
use millstream::engine::consumer::{self, Consumer};
use millstream::engine::relay::{self, Relay};
use millstream::{App, Transport};
use millstream_testkit::server::{Flavour, Server};

use super::place::{Place, member, runs};
use crate::site::{Running, consume, eventually, rows};

/// It jumps forth and back while three instances compete: what is claimed too early has no second
/// effect, and nothing waits for the clock.
#[tokio::test]
async fn a_server_whose_clock_jumps_delivers_each_event_once() -> Result<()> {
    const EVENTS: u64 = 100;
    const HOUR: i64 = 60 * 60;
    let server = Server::builder(Flavour::Valkey).in_memory().clock_offset(0);
    let place = Place::on(server, 1).await?;
    let hr = place.accounts()?.parallel(true);
    let hr = hr.claim_idle(Duration::from_millis(200));
    let relay = crate::site::relay(&place.site.crm, &place.site.transport);
    let consumers: Vec<_> = (0..3)
        .map(|_| consume(&hr, &place.site.transport))
        .collect();
    let mut top = 0;
    for offset in [0, HOUR, 0, -HOUR, 0] {
        place.credit(top + 1..=top + EVENTS / 2).await?;
        place.server.set_clock_offset(offset).await?;
        place.credit(top + EVENTS / 2 + 1..=top + EVENTS).await?;
        place.publish([1_000_000 + top]).await?;
        top += EVENTS;
        eventually(top, async || place.balance()).await?;
    }
    eventually(0, async || place.pending().await).await?;
    eventually(5, async || Ok(place.site.employees()?.len())).await?;
    for consumer in consumers {
        consumer.until(runs).await?;
        consumer.stop().await?;
    }
    relay.stop().await?;
    assert_eq!(place.balance()?, top);
    Ok(())
}

/// By the server's clock they are not idle for another hour.
#[tokio::test]
async fn what_an_instance_took_before_the_clock_went_back_is_claimed() -> Result<()> {
    const EVENTS: u64 = 30;
    let server = Server::builder(Flavour::Valkey).in_memory();
    let place = Place::on(server.clock_offset(60 * 60), 1).await?;
    place.credit(1..=EVENTS).await?;
    let limit = ReadLimit {
        count: 20,
        bytes: usize::MAX,
    };
    let (queue, stream) = (&place.site.transport.queue, place.site.stream());
    let dead = member("dead")?;
    let taken = queue.read_group(&stream, &dead, limit, Duration::ZERO);
    assert_eq!(taken.await?.len(), 20);
    place.server.set_clock_offset(0).await?;

    let hr = place.accounts()?.parallel(true);
    let hr = hr.claim_idle(Duration::from_millis(200));
    let consumers: Vec<_> = (0..2)
        .map(|_| consume(&hr, &place.site.transport))
        .collect();
    eventually(EVENTS, async || place.balance()).await?;
    eventually(0, async || place.pending().await).await?;
    for consumer in consumers {
        consumer.stop().await?;
    }
    assert_eq!(place.balance()?, EVENTS);
    Ok(())
}

const DAY: i64 = 24 * 60 * 60 * 1_000;

#[derive(Debug)]
struct Skewed(i64);

impl Clock for Skewed {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(SystemClock.now().as_millis() + self.0)
    }
}

fn relay(app: &App, transport: &Transport, clock: i64) -> Running<relay::Error> {
    let options = relay::Options {
        publishes: app.publishes().to_vec(),
        ..relay::Options::new(app.name().clone())
    };
    let (outbox, clock) = (app.database(), Arc::new(Skewed(clock)));
    Running::of_relay(Relay::new(outbox, transport.log.clone(), clock, options))
}

fn consumer(app: &App, transport: &Transport, clock: i64) -> Running<consumer::Error> {
    let options = consumer::Options {
        subscribes: app.subscribes().to_vec(),
        mappings: app.mappings().to_vec(),
        ..consumer::Options::new(app.name().clone())
    };
    let (store, clock) = (app.database(), Arc::new(Skewed(clock)));
    Running::of_consumer(Consumer::new(store, transport.clone(), clock, options))
}

/// Kept for an hour, by clocks that are a day ahead and a day behind.
async fn nothing_is_lost_or_reordered(ours: i64, theirs: i64) -> Result<()> {
    let mut place = Place::new(1).await?;
    place.site.keep(Duration::from_secs(60 * 60), 0);
    let (crm, transport) = (place.site.crm.clone(), place.site.transport.clone());
    let first = relay(&crm, &transport, 0);
    let hr = consumer(&place.site.hr, &transport, theirs);
    place.publish(1..=5).await?;
    place.settled(5).await?;
    place.site.settled("hr", 5).await?;
    hr.stop().await?;
    place.publish(6..=10).await?;
    first.until(|status| status.sent == 10).await?;
    first.stop().await?;

    let second = relay(&crm, &transport, ours);
    second.until(runs).await?;
    place.site.checked(1).await?;
    let kept = rows(
        &place.site.path("crm.db"),
        "SELECT event_id FROM outbox ORDER BY id",
    )?;
    let from = if ours > 0 { 6 } else { 1 };
    let expected: Vec<_> = (from..=10).map(|id| format!("e{id}")).collect();
    assert_eq!(kept, expected, "only what is settled is ever old enough");
    let hr = consumer(&place.site.hr, &transport, theirs);
    place.publish(11..=15).await?;
    let applied: Vec<_> = (1..=15).map(|id| format!("e{id} applied")).collect();
    eventually(applied, async || place.site.inbox()).await?;
    hr.stop().await?;
    second.stop().await
}

#[tokio::test]
async fn a_publisher_a_day_ahead_removes_only_what_is_settled() -> Result<()> {
    nothing_is_lost_or_reordered(DAY, -DAY).await
}

#[tokio::test]
async fn a_publisher_a_day_behind_loses_and_reorders_nothing() -> Result<()> {
    nothing_is_lost_or_reordered(-DAY, DAY).await
}
