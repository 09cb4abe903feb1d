//! What people and programs do to our keys by mistake, or not.

use anyhow::Result;
use millstream::core::lease::Feed;
use millstream_testkit::server::Flavour;

use super::place::{Place, is_stalled, key, runs};
use crate::site::{consume, eventually, numbers, relay, shard};

/// Loud, for the shard alone, and over as soon as the key is free.
async fn another_type_stalls_one_shard(flavour: Flavour) -> Result<()> {
    let place = Place::of(flavour, 2).await?;
    let relay = relay(&place.site.crm, &place.site.transport);
    let consumer = consume(&place.site.hr, &place.site.transport);
    place.publish(1..=20).await?;
    place.settled(20).await?;
    place.blocked(2).await?;
    place.run(&["SET", &key(0), "mine"]).await?;

    place.publish(21..=40).await?;
    relay.until(|status| is_stalled(status, 0)).await?;
    let crm = place.site.path("crm.db");
    let count = "SELECT max(seq) FROM outbox WHERE shard = ";
    let unsent = "SELECT count(*) FROM outbox WHERE seq IS NULL";
    eventually(vec![0], async || numbers(&crm, unsent)).await?;
    let top = numbers(&crm, &format!("{count} 1"))?[0];
    let at_top = |feed: &millstream::engine::status::FeedStatus| feed.at.low == top;
    let other = Feed::Owned(shard(1));
    consumer
        .until(|status| status.feeds.get(&other).is_some_and(at_top))
        .await?;
    assert!(is_stalled(&relay.handle.status(), 0));
    let value: String = place.server.query(&["GET", &key(0)]).await?;
    assert_eq!(value, "mine", "what is not ours is left alone");

    place.run(&["DEL", &key(0)]).await?;
    place.settled(40).await?;
    relay.until(runs).await?;
    consumer.until(runs).await?;
    consumer.stop().await?;
    relay.stop().await
}

#[tokio::test]
async fn a_value_in_the_place_of_a_stream_stalls_its_shard_on_redis() -> Result<()> {
    another_type_stalls_one_shard(Flavour::Redis).await
}

#[tokio::test]
async fn a_value_in_the_place_of_a_stream_stalls_its_shard_on_valkey() -> Result<()> {
    another_type_stalls_one_shard(Flavour::Valkey).await
}

/// While HR waits for the next entry, and CRM goes on.
async fn a_stream_that_goes_away_is_made_again(flavour: Flavour) -> Result<()> {
    let place = Place::of(flavour, 1).await?;
    let relay = relay(&place.site.crm, &place.site.transport);
    let consumer = consume(&place.site.hr, &place.site.transport);
    place.publish([1]).await?;
    place.settled(1).await?;
    let key = key(0);
    let actions: [&[&str]; 4] = [
        &["FLUSHALL"],
        &["DEL", &key],
        &["RENAME", &key, "elsewhere"],
        &["UNLINK", &key],
    ];
    for (action, id) in actions.into_iter().zip(2..) {
        place.blocked(2).await?;
        place.run(action).await?;
        place.publish([id]).await?;
        place.settled(id).await?;
        relay.until(runs).await?;
    }
    assert_eq!(place.site.employees()?.len(), 5);
    consumer.stop().await?;
    relay.stop().await
}

#[tokio::test]
async fn a_stream_that_goes_away_under_a_reader_comes_back_on_redis() -> Result<()> {
    a_stream_that_goes_away_is_made_again(Flavour::Redis).await
}

#[tokio::test]
async fn a_stream_that_goes_away_under_a_reader_comes_back_on_valkey() -> Result<()> {
    a_stream_that_goes_away_is_made_again(Flavour::Valkey).await
}

/// After it the server takes no further entry.
#[tokio::test]
async fn an_entry_with_the_largest_id_is_removed() -> Result<()> {
    for flavour in Flavour::SUPPORTED {
        let place = Place::of(flavour, 1).await?;
        let relay = relay(&place.site.crm, &place.site.transport);
        let consumer = consume(&place.site.hr, &place.site.transport);
        place.publish([1]).await?;
        place.settled(1).await?;
        let id = format!("{0}-{0}", u64::MAX);
        place.run(&["XADD", &key(0), &id, "a", "b"]).await?;
        place.publish([2]).await?;
        relay.until(|status| status.repairs == 1).await?;
        place.settled(2).await?;
        // Idle, too.
        place.run(&["XADD", &key(0), &id, "a", "b"]).await?;
        relay.until(|status| status.repairs == 2).await?;
        place.publish([3]).await?;
        place.settled(3).await?;
        relay.until(runs).await?;
        consumer.until(runs).await?;
        consumer.stop().await?;
        relay.stop().await?;
    }
    Ok(())
}

/// Somebody bounds the stream, by entries of their own or without.
#[tokio::test]
async fn a_stream_that_a_producer_wipes_is_repaired() -> Result<()> {
    let place = Place::new(1).await?;
    let relay = relay(&place.site.crm, &place.site.transport);
    let consumer = consume(&place.site.hr, &place.site.transport);
    place.publish([1]).await?;
    place.settled(1).await?;
    place.site.settled("hr", 1).await?;
    consumer.stop().await?;

    let key = key(0);
    let ids = |top: u64| (2..=top).map(|seq| format!("1-{seq}")).collect::<Vec<_>>();
    place.publish(2..=5).await?;
    relay.until(|status| status.sent == 5).await?;
    place.run(&["XTRIM", &key, "MAXLEN", "0"]).await?;
    eventually(ids(5), async || place.ids(0).await).await?;
    place
        .run(&["XADD", &key, "MAXLEN", "0", "*", "eventType", "x"])
        .await?;
    eventually(ids(5), async || place.ids(0).await).await?;
    place.publish([6]).await?;
    place
        .run(&["XADD", &key, "MAXLEN", "1", "*", "eventType", "x"])
        .await?;
    let consumer = consume(&place.site.hr, &place.site.transport);
    place.settled(6).await?;
    relay.until(runs).await?;
    consumer.stop().await?;
    relay.stop().await
}
