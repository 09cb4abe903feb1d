//! What was numbered is sent, whatever fails on the way, and what is missing is not passed over.

use std::time::Duration;

use anyhow::Result;
use millstream::core::clock::Timestamp;
use millstream::core::entry::{Entry, EntryId};
use millstream::core::lease::{Feed, Role};
use millstream::core::log::ReadLimit;
use millstream::core::name::InstanceId;
use millstream::core::wire::{self, field};
use millstream::engine::relay;
use millstream::engine::status::{State, Status};
use millstream::rusqlite::Connection;
use millstream::{NewEvent, Transport};
use millstream_transport::sqlite;

use crate::failing::{Failing, When};
use crate::site::{self, Running, Site, at, consume, event, eventually, rows, shard};

const SHARDS: u16 = 4;
/// Enough that each batch has some for each shard.
const ENTITIES: usize = 16;
const BATCHES: usize = 3;

/// One event of each entity, which is named like the batch.
fn batch(number: usize) -> Vec<NewEvent> {
    let one = |entity| {
        event(
            &format!("b{number}-{entity}"),
            &format!("{entity:02}"),
            &number.to_string(),
        )
    };
    (0..ENTITIES).map(one).collect()
}

/// Publishes, and waits until the relay has taken it over, sent or not.
async fn publish_batch(site: &Site, number: usize) -> Result<()> {
    site.publish(&batch(number)).await?;
    let unsent = "SELECT 'unsent' FROM outbox WHERE seq IS NULL";
    eventually(vec![], async || rows(&site.path("crm.db"), unsent)).await
}

fn runs(status: &Status) -> bool {
    let mut states = status.feeds.values().map(|feed| &feed.state);
    status.feeds.len() == usize::from(SHARDS) && states.all(|state| *state == State::Running)
}

async fn entries(site: &Site, number: u16) -> Result<Vec<Entry>> {
    let limit = ReadLimit {
        count: 100_000,
        bytes: usize::MAX,
    };
    let log = &site.transport.log;
    Ok(log
        .read(&shard(number), EntryId::ZERO, limit, Duration::ZERO)
        .await?)
}

/// Everything is there, once and in order, in each stream and in HR's table.
async fn assert_whole(site: &Site, relay: &Running<relay::Error>) -> Result<()> {
    let consumer = consume(&site.hr, &site.transport);
    let whole = (BATCHES * ENTITIES) as u64;
    consumer
        .until(|status| status.counts.total() == whole)
        .await?;
    relay.until(runs).await?;
    consumer.stop().await?;

    assert!(site.inbox()?.iter().all(|row| row.ends_with(" applied")));
    let last = BATCHES - 1;
    let named = |entity| format!("acme/{entity:02}={last},-");
    assert_eq!(
        site.employees()?,
        (0..ENTITIES).map(named).collect::<Vec<_>>()
    );
    let mut count = 0;
    for number in 0..SHARDS {
        let entries = entries(site, number).await?;
        let mut prev = None;
        for (entry, seq) in entries.iter().zip(1..) {
            assert_eq!(entry.id, at(seq), "shard {number}");
            assert_eq!(entry.fields.get(field::PREV), prev, "shard {number}, {seq}");
            prev = entry.fields.get(field::EVENT_ID);
        }
        assert!(
            entries.len() >= BATCHES,
            "shard {number} has some of each batch"
        );
        count += entries.len();
    }
    assert_eq!(count, BATCHES * ENTITIES);
    Ok(())
}

async fn assert_outages_leave_no_gap(when: When, width: usize) -> Result<()> {
    // In the first batch, after which more comes, up to the last, after which nothing does.
    for call in 1..=BATCHES * usize::from(SHARDS) {
        let mut site = Site::with(SHARDS, "10s").await?;
        let log = Failing::new(site.transport.log.clone(), when, call..call + width);
        site.transport.log = log.clone();
        let relay = site::relay(&site.crm, &site.transport);
        for number in 0..BATCHES {
            publish_batch(&site, number).await?;
        }
        assert_whole(&site, &relay).await?;
        assert!(log.has_failed(), "{call}");
        relay.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_log_that_was_away_for_one_append_has_no_gap() -> Result<()> {
    assert_outages_leave_no_gap(When::Before, 1).await
}

#[tokio::test]
async fn a_log_whose_answer_was_lost_has_no_gap() -> Result<()> {
    assert_outages_leave_no_gap(When::After, 1).await
}

#[tokio::test]
async fn a_log_that_was_away_for_some_appends_has_no_gap() -> Result<()> {
    assert_outages_leave_no_gap(When::Before, 3).await
}

#[tokio::test]
async fn a_log_that_is_locked_while_much_is_published_has_no_gap() -> Result<()> {
    let mut site = Site::with(SHARDS, "10s").await?;
    let options =
        sqlite::Options::file(site.path("log/events.db")).busy_timeout(Duration::from_millis(20));
    site.transport = Transport::new(sqlite::Transport::connect(options).await?);
    let relay = site::relay(&site.crm, &site.transport);
    publish_batch(&site, 0).await?;
    relay.until(|status| status.sent == ENTITIES as u64).await?;

    let other = Connection::open(site.path("log/events.db"))?;
    other.execute_batch("BEGIN EXCLUSIVE")?;
    for number in 1..BATCHES {
        site.publish(&batch(number)).await?;
        let paused = |status: &Status| {
            let mut states = status.feeds.values().map(|feed| &feed.state);
            states.all(|state| matches!(state, State::Paused(why) if why.contains("locked")))
        };
        relay.until(paused).await?;
    }
    other.execute_batch("ROLLBACK")?;
    assert_whole(&site, &relay).await?;
    relay.stop().await
}

/// Numbers everything in the place of a relay that dies before it sends any of it.
async fn number(site: &Site, count: usize) -> Result<()> {
    let outbox = site.crm.database();
    let feeds = [Feed::Owned(shard(0))];
    outbox.register(Role::Relay, &feeds).await?;
    let rows = outbox.leases(Role::Relay).await?;
    let dead = InstanceId::new("dead")?;
    let leases = outbox.acquire(&dead, Role::Relay, &rows).await?.unwrap();
    assert_eq!(
        outbox
            .number(&leases, 100, Timestamp::default())
            .await?
            .len(),
        count
    );
    Ok(())
}

fn misses_a_row(status: &Status) -> bool {
    let feed = status.feeds.get(&Feed::Owned(shard(0)));
    feed.is_some_and(
        |feed| matches!(&feed.state, State::Stalled(why) if why.contains("does not hold the event")),
    )
}

/// Our triggers keep such rows; somebody may drop them.
#[tokio::test]
async fn a_row_that_was_deleted_before_it_was_sent_stalls_its_shard() -> Result<()> {
    for gone in ["a", "b", "c"] {
        let site = Site::new().await?;
        site.publish(&[
            event("a", "1", "Ann"),
            event("b", "2", "Bob"),
            event("c", "3", "Cid"),
        ])
        .await?;
        number(&site, 3).await?;
        Connection::open(site.path("crm.db"))?.execute_batch(&format!(
            "DROP TRIGGER outbox_delete; DELETE FROM outbox WHERE event_id = '{gone}'"
        ))?;

        let relay = site::relay(&site.crm, &site.transport);
        relay.until(misses_a_row).await?;
        // What comes later goes neither past the gap nor over it, however often it is tried, and
        // nothing looks well meanwhile.
        let recovered = relay.handle.clone();
        let recovered = tokio::spawn(async move {
            recovered
                .wait_until(|status| {
                    status
                        .feeds
                        .values()
                        .any(|feed| feed.state == State::Running)
                })
                .await;
        });
        for (id, entity) in [("d", "4"), ("e", "5")] {
            site.publish(&[event(id, entity, "Dan")]).await?;
            let unsent = "SELECT event_id FROM outbox WHERE seq IS NULL";
            eventually(vec![], async || rows(&site.path("crm.db"), unsent)).await?;
        }
        assert!(!recovered.is_finished());
        recovered.abort();
        relay.stop().await?;
        let relay = site::relay(&site.crm, &site.transport);
        relay.until(misses_a_row).await?;
        relay.stop().await?;
        let sent = site.sent().await?;
        let before: &[&str] = if gone == "c" { &["a", "b"] } else { &[] };
        assert_eq!(sent, before, "without {gone}");
    }
    Ok(())
}

/// Only checks that somebody turned off let such an id in; the events behind it are none the worse.
#[tokio::test]
async fn what_follows_an_event_without_a_readable_id_is_applied_also_when_it_is_sent_again()
-> Result<()> {
    for damaged in ["''", "CAST(x'ff' AS TEXT)", "'a' || char(0)"] {
        let site = Site::new().await?;
        Connection::open(site.path("crm.db"))?.execute_batch(&format!(
            "PRAGMA ignore_check_constraints = ON;
             INSERT INTO outbox (event_id, event_type, tenant_id, entity_id, event_data)
             VALUES ({damaged}, 'user.updated', 'acme', '1', '{{}}')"
        ))?;
        site.publish(&[event("b", "2", "Bob"), event("c", "3", "Cid")])
            .await?;
        let relay = site::relay(&site.crm, &site.transport);
        let three = |status: &Status| status.sent == 3;
        relay.until(three).await?;
        relay.stop().await?;
        let first = entries(&site, 0).await?;
        assert_eq!(first.len(), 3);

        std::fs::remove_file(site.path("log/events.db"))?;
        let relay = site::relay(&site.crm, &site.transport);
        relay.until(three).await?;
        assert_eq!(entries(&site, 0).await?, first, "{damaged}");
        let consumer = consume(&site.hr, &site.transport);
        consumer.until(|status| status.counts.total() == 3).await?;
        assert_eq!(site.inbox()?[1..], ["b applied", "c applied"], "{damaged}");
        assert_eq!(site.employees()?, ["acme/2=Bob,-", "acme/3=Cid,-"]);
        consumer.stop().await?;
        relay.stop().await?;
    }
    Ok(())
}

/// As an older relay wrote it: what is wrong with the event before it is not its own fault.
#[tokio::test]
async fn an_entry_that_names_an_unreadable_predecessor_is_applied() -> Result<()> {
    let site = Site::new().await?;
    site.announce().await?;
    let behind = |seq, prev: &'static [u8]| {
        let mut row = site::row(seq);
        row.prev = Some(prev.into());
        wire::encode_owned(&row, site.crm.name())
    };
    let entries = [
        site::entry(1),
        behind(2, b""),
        behind(3, b"\xff"),
        behind(4, b"e3"),
    ];
    site.append(0, &entries).await?;
    let consumer = consume(&site.hr, &site.transport);
    consumer.until(|status| status.counts.total() == 4).await?;
    let applied = ["e1 applied", "e2 applied", "e3 applied", "e4 applied"];
    assert_eq!(site.inbox()?, applied);
    consumer.stop().await
}
