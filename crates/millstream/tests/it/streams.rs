//! Streams that are not what they should be: nothing is settled or sent beyond what is certain.

use std::fs;

use anyhow::Result;
use millstream::core::clock::Timestamp;
use millstream::core::entry::{Entry, EntryId, Fields};
use millstream::core::lease::{Feed, Role};
use millstream::core::log::{Appended, ReadLimit};
use millstream::core::name::InstanceId;
use millstream::engine::status::{State, Status};

use crate::site::{self, Site, at, consume, entry, event, eventually, shard};

fn stalled(status: &Status, word: &str) -> bool {
    let feed = status.feeds.get(&Feed::Owned(shard(0)));
    feed.is_some_and(|feed| matches!(&feed.state, State::Stalled(why) if why.contains(word)))
}

fn forked(status: &Status, word: &str) -> bool {
    let feed = status.feeds.get(&Feed::Owned(shard(0)));
    feed.is_some_and(|feed| matches!(&feed.state, State::Forked(why) if why.contains(word)))
}

fn settled(status: &Status, seq: u64) -> bool {
    let feed = status.feeds.get(&Feed::Owned(shard(0)));
    feed.is_some_and(|feed| feed.state == State::Running && feed.at == at(seq))
}

#[tokio::test]
async fn a_gap_stalls_with_its_seq_until_it_is_filled() -> Result<()> {
    let site = Site::new().await?;
    site.announce().await?;
    site.append(0, &[entry(1), entry(2), entry(5)]).await?;
    let consumer = consume(&site.hr, &site.transport);
    consumer
        .until(|status| stalled(status, "between 1-2 and 1-5"))
        .await?;
    eventually(2, async || Ok(site.inbox()?.len())).await?;
    assert_eq!(site.employees()?, ["acme/1=e1,-", "acme/2=e2,-"]);

    // What a repair does: everything again, under the same ids.
    fs::remove_file(site.path("log/events.db"))?;
    site.append(0, &(1..=5).map(entry).collect::<Vec<_>>())
        .await?;
    consumer.until(|status| settled(status, 5)).await?;
    let applied: Vec<_> = (1..=5).map(|seq| format!("e{seq} applied")).collect();
    assert_eq!(site.inbox()?, applied);
    consumer.stop().await
}

#[tokio::test]
async fn an_entry_behind_another_event_is_a_fork() -> Result<()> {
    let site = Site::new().await?;
    site.announce().await?;
    site.append(0, &[entry(1), entry(2)]).await?;
    let consumer = consume(&site.hr, &site.transport);
    consumer.until(|status| settled(status, 2)).await?;

    let mut other = site::row(3);
    other.prev = Some("another".into());
    let other = millstream::core::wire::encode_owned(&other, site.crm.name());
    site.append(2, &[other, entry(4)]).await?;
    consumer.until(|status| forked(status, "1-3")).await?;
    assert_eq!(site.inbox()?, ["e1 applied", "e2 applied"]);
    consumer.stop().await?;
    assert_eq!(site.inbox()?, ["e1 applied", "e2 applied"]);
    Ok(())
}

#[tokio::test]
async fn rows_that_were_numbered_by_a_relay_that_died_are_sent_by_the_next() -> Result<()> {
    let site = Site::new().await?;
    let outbox = site.crm.database();
    site.publish(&[event("a", "1", "Ann"), event("b", "2", "Bob")])
        .await?;
    outbox
        .register(Role::Relay, &[Feed::Owned(shard(0))])
        .await?;
    let rows = outbox.leases(Role::Relay).await?;
    let dead = InstanceId::new("dead")?;
    let leases = outbox.acquire(&dead, Role::Relay, &rows).await?.unwrap();
    assert_eq!(
        outbox
            .number(&leases, 100, Timestamp::default())
            .await?
            .len(),
        2
    );
    assert!(site.sent().await?.is_empty());

    let relay = site::relay(&site.crm, &site.transport);
    site.publish(&[event("c", "3", "Cid")]).await?;
    relay.until(|status| settled(status, 3)).await?;
    assert_eq!(site.sent().await?, ["a", "b", "c"]);
    assert_eq!(relay.handle.status().sent, 3);
    relay.stop().await
}

#[tokio::test]
async fn an_entry_of_somebody_else_is_removed() -> Result<()> {
    let site = Site::new().await?;
    let relay = site::relay(&site.crm, &site.transport);
    site.publish(&[event("a", "1", "Ann")]).await?;
    relay.until(|status| settled(status, 1)).await?;

    // In mid-work, idle, and far in the future.
    for (id, event) in [
        (at(2), event("b", "2", "Bob")),
        (at(7), event("c", "3", "Cid")),
        (EntryId::new(u64::MAX >> 1, 0), event("d", "4", "Dan")),
    ] {
        let before = relay.handle.status();
        let mut fields = Fields::default();
        fields.push("eventType", "user.deleted");
        let last = before.feeds[&Feed::Owned(shard(0))].at;
        let foreign = [Entry { id, fields }];
        let log = &site.transport.log;
        assert_eq!(
            log.append(&shard(0), last, &foreign).await?,
            Appended::Added
        );
        site.publish(std::slice::from_ref(&event)).await?;
        relay
            .until(|status| status.repairs > before.repairs && settled(status, last.low + 1))
            .await?;
    }
    relay.stop().await?;
    assert_eq!(site.sent().await?, ["a", "b", "c", "d"]);
    let consumer = consume(&site.hr, &site.transport);
    let relay = site::relay(&site.crm, &site.transport);
    consumer.until(|status| settled(status, 4)).await?;
    consumer.stop().await?;
    relay.stop().await
}

#[tokio::test]
async fn an_entry_of_ones_own_above_the_top_is_a_fork() -> Result<()> {
    let site = Site::new().await?;
    let relay = site::relay(&site.crm, &site.transport);
    site.publish(&[event("a", "1", "Ann")]).await?;
    relay.until(|status| settled(status, 1)).await?;
    site.append(1, &[entry(2)]).await?;
    relay.until(|status| forked(status, "1-2")).await?;

    // More rows do not make it one of this database's.
    site.publish(&[event("b", "2", "Bob"), event("c", "3", "Cid")])
        .await?;
    relay.stop().await?;
    let relay = site::relay(&site.crm, &site.transport);
    relay.until(|status| forked(status, "1-2")).await?;
    assert_eq!(site.sent().await?, ["a", "e2"]);
    relay.stop().await
}

#[tokio::test]
async fn what_a_stream_lost_is_added_again_also_while_nothing_new_is_sent() -> Result<()> {
    let site = Site::new().await?;
    let relay = site::relay(&site.crm, &site.transport);
    site.publish(&[
        event("a", "1", "Ann"),
        event("b", "2", "Bob"),
        event("c", "3", "Cid"),
    ])
    .await?;
    relay.until(|status| settled(status, 3)).await?;

    fs::remove_file(site.path("log/events.db"))?;
    let all = || ["a", "b", "c"].map(String::from).to_vec();
    eventually(all(), async || site.sent().await).await?;

    // The last of them, while no relay runs.
    relay.stop().await?;
    let limit = ReadLimit {
        count: 1,
        bytes: usize::MAX,
    };
    let log = &site.transport.log;
    let kept = log
        .read(&shard(0), at(0), limit, std::time::Duration::ZERO)
        .await?;
    fs::remove_file(site.path("log/events.db"))?;
    site.append(0, &kept).await?;
    let relay = site::relay(&site.crm, &site.transport);
    eventually(all(), async || site.sent().await).await?;

    // Nobody needs what a follower has settled: of that, only the place comes back.
    let consumer = consume(&site.hr, &site.transport);
    consumer.until(|status| settled(status, 3)).await?;
    site.settled("hr", 3).await?;
    fs::remove_file(site.path("log/events.db"))?;
    site.publish(&[event("d", "4", "Dan")]).await?;
    consumer.until(|status| settled(status, 4)).await?;
    assert_eq!(site.sent().await?, ["d"]);
    assert_eq!(
        site.inbox()?,
        ["a applied", "b applied", "c applied", "d applied"]
    );
    consumer.stop().await?;
    relay.stop().await
}

#[tokio::test]
async fn an_entry_of_somebody_else_takes_no_place() -> Result<()> {
    let site = Site::new().await?;
    site.announce().await?;
    site.append(0, &[entry(1)]).await?;
    let consumer = consume(&site.hr, &site.transport);
    consumer.until(|status| settled(status, 1)).await?;

    let mut fields = Fields::default();
    fields.push("eventId", "foreign");
    fields.push("eventType", "user.updated");
    site.append(1, &[Entry { id: at(2), fields }]).await?;
    consumer
        .until(|status| stalled(status, "1-2 is not the owner's"))
        .await?;
    assert_eq!(site.inbox()?, ["e1 applied"]);

    // What a repair does.
    let all: Vec<Entry> = (1..=3).map(entry).collect();
    let log = &site.transport.log;
    assert_eq!(
        log.replace(&shard(0), at(2), EntryId::ZERO, &all).await?,
        Appended::Added
    );
    consumer.until(|status| settled(status, 3)).await?;
    assert_eq!(site.inbox()?, ["e1 applied", "e2 applied", "e3 applied"]);
    consumer.stop().await
}
