//! Nothing arrives after the fail-over.

use std::time::Duration;

use anyhow::Result;
use millstream::NewEvent;
use millstream::core::lease::Feed;
use millstream::engine::status::{State, Status};
use millstream::engine::{consumer, relay};

use super::place::{Place, texts};
use crate::site::{Running, consume, entry, event, eventually, numbers, relay, shard};

fn named(range: std::ops::RangeInclusive<u64>) -> Vec<NewEvent> {
    let named = |n: u64| event(&format!("e{n}"), &n.to_string(), &format!("name {n}"));
    range.map(named).collect()
}

fn is_read_only(status: &Status) -> bool {
    let feeds = status.feeds.values().filter_map(|feed| match &feed.state {
        State::Paused(reason) => Some(reason),
        _ => None,
    });
    feeds
        .chain(&status.paused)
        .any(|reason| reason.contains("read-only"))
}

/// No publisher runs whose word could differ from the checkpoint. Clients arrive before the standby is
/// promoted: what it refuses until then is held against no event.
#[tokio::test]
async fn a_consumer_finds_out_by_itself() -> Result<()> {
    let mut place = Place::new(1).await?;
    let site = &place.site;
    site.announce().await?;
    site.append(0, &[entry(1), entry(2), entry(3)]).await?;
    let consumer = consume(&site.hr, &site.transport);
    consumer.until(|status| status.counts.total() == 3).await?;
    place.pair.hold_back().await?;
    let site = &place.site;
    site.append(3, &[entry(4), entry(5)]).await?;
    consumer.until(|status| status.counts.total() == 5).await?;
    assert_eq!(place.on_standby().await?, 3);

    place.pair.switch().await?;
    consumer.until(is_read_only).await?;
    place.pair.promote().await?;
    consumer.until(|status| status.counts.total() == 7).await?;
    let all = ["1=e1", "2=e2", "3=e3", "4=e4", "5=e5"];
    assert_eq!(place.employees().await?, all);
    let inbox = [1, 2, 3, 4, 5].map(|n| format!("e{n} applied"));
    assert_eq!(place.inbox().await?, inbox);
    consumer.stop().await
}

/// HR settles six events, of which the standby has the first three; CRM keeps those numbers of them.
async fn fall_behind(
    place: &mut Place,
    kept: Vec<u64>,
) -> Result<(Running<relay::Error>, Running<consumer::Error>)> {
    let relay = relay(&place.site.crm, &place.site.transport);
    let consumer = consume(&place.site.hr, &place.site.transport);
    place.site.publish(&named(1..=3)).await?;
    place.site.settled("hr", 3).await?;
    place.pair.hold_back().await?;
    place.site.publish(&named(4..=6)).await?;
    place.site.settled("hr", 6).await?;
    let outbox = place.site.path("crm.db");
    let left = async || numbers(&outbox, "SELECT seq FROM outbox ORDER BY seq");
    eventually(kept, left).await?;
    Ok((relay, consumer))
}

/// The publisher keeps what the margin says, though all had settled it, and is told before anything is
/// read again.
#[tokio::test]
async fn what_the_margin_keeps_is_applied_again() -> Result<()> {
    let mut place = Place::new(1).await?;
    place.site.keep(Duration::ZERO, 3);
    let (relay, consumer) = fall_behind(&mut place, vec![4, 5, 6]).await?;
    assert_eq!(place.on_standby().await?, 3);

    place.fail_over().await?;
    let inbox: Vec<_> = (1..=6).map(|n| format!("e{n} applied")).collect();
    eventually(inbox, async || place.inbox().await).await?;
    let all = (1..=6).map(|n| format!("{n}=name {n}"));
    assert_eq!(place.employees().await?, all.collect::<Vec<_>>());
    place.site.settled("hr", 6).await?;
    consumer.stop().await?;
    relay.stop().await
}

/// What nobody keeps any more is not passed over: the shard stands still and says what is missing.
#[tokio::test]
async fn what_is_gone_everywhere_stalls_the_shard() -> Result<()> {
    let mut place = Place::new(1).await?;
    place.site.keep(Duration::ZERO, 0);
    let (relay, consumer) = fall_behind(&mut place, Vec::new()).await?;

    place.fail_over().await?;
    place.site.publish(&named(7..=7)).await?;
    let missing = "entries between 1-3 and 1-7 are missing";
    consumer
        .until(|status| {
            let feed = status.feeds.get(&Feed::Owned(shard(0)));
            feed.is_some_and(|feed| feed.state == State::Stalled(missing.to_owned()))
        })
        .await?;
    let known = texts(&["e1 applied", "e2 applied", "e3 applied"]);
    assert_eq!(place.inbox().await?, known);
    consumer.stop().await?;
    relay.stop().await
}
