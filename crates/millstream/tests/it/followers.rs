//! Registrations, receipts and what they let go: who follows a stream holds its floor.

use std::fs;
use std::time::Duration;

use anyhow::Result;
use millstream::core::lease::{Feed, Role};
use millstream::core::name::AppName;
use millstream::engine::consumer;
use millstream::engine::status::{State, Status};
use millstream::rusqlite::Connection;

use crate::site::{self, Site, at, consume, event, eventually, numbers, raw_event, rows, shard};

fn settled(status: &Status, seq: u64) -> bool {
    let feed = status.feeds.get(&Feed::Owned(shard(0)));
    feed.is_some_and(|feed| feed.state == State::Running && feed.at == at(seq))
}

fn events(range: std::ops::RangeInclusive<u64>) -> Vec<millstream::NewEvent> {
    range
        .map(|n| event(&format!("e{n}"), &n.to_string(), &format!("name {n}")))
        .collect()
}

#[tokio::test]
async fn outgoing_events_are_settled_by_receipts() -> Result<()> {
    let site = Site::new().await?;
    site.publish(&events(1..=2)).await?;
    site.publish(&[raw_event("e3", "3", r#"{"salary":"much"}"#)])
        .await?;
    let tracked = || {
        rows(
            &site.path("crm.db"),
            "SELECT event_id || ' ' || application || ' ' || status || ' ' || coalesce(outcome, '-')
             FROM event_tracking ORDER BY event_id, application",
        )
    };
    assert_eq!(
        tracked()?,
        ["e1 * pending -", "e2 * pending -", "e3 * pending -"]
    );

    let relay = site::relay(&site.crm, &site.transport);
    let consumer = consume(&site.hr, &site.transport);
    consumer.until(|status| settled(status, 3)).await?;
    let expected = [
        "e1 hr processed -",
        "e2 hr processed -",
        "e3 hr failed dead",
    ];
    eventually(expected.map(String::from).to_vec(), async || tracked()).await?;
    consumer.stop().await?;
    relay.stop().await
}

#[tokio::test]
async fn a_receipt_that_got_lost_is_sent_again() -> Result<()> {
    let site = Site::new().await?;
    let relay = site::relay(&site.crm, &site.transport);
    let consumer = consume(&site.hr, &site.transport);
    site.publish(&events(1..=1)).await?;
    site.settled("hr", 1).await?;

    // Nobody listens while the second is settled, and then what was said is lost.
    relay.stop().await?;
    let numbering = site::relay(&site.crm, &site.transport);
    site.publish(&events(2..=2)).await?;
    consumer.until(|status| settled(status, 2)).await?;
    numbering.kill().await;
    fs::remove_file(site.path("log/events.db"))?;
    let relay = site::relay(&site.crm, &site.transport);
    site.settled("hr", 2).await?;
    consumer.stop().await?;
    relay.stop().await
}

#[tokio::test]
async fn what_all_have_settled_is_pruned_and_nothing_else() -> Result<()> {
    let mut site = Site::new().await?;
    site.keep(Duration::ZERO, 3);
    let relay = site::relay(&site.crm, &site.transport);
    let consumer = consume(&site.hr, &site.transport);
    let follows = |status: &Status| status.feeds.contains_key(&Feed::Owned(shard(0)));
    consumer.until(follows).await?;
    site.publish(&events(1..=10)).await?;
    // The margin stays.
    let left = || {
        numbers(
            &site.path("crm.db"),
            "SELECT coalesce(seq, 0) FROM outbox ORDER BY seq",
        )
    };
    eventually(vec![8, 9, 10], async || left()).await?;
    eventually(["e8", "e9", "e10"].map(String::from).to_vec(), async || {
        site.sent().await
    })
    .await?;

    // A follower that is away holds everything from where it was.
    consumer.stop().await?;
    site.publish(&events(11..=20)).await?;
    relay.until(|status| settled(status, 20)).await?;
    site.checked(2).await?;
    assert_eq!(left()?, (8..=20).collect::<Vec<_>>());
    let consumer = consume(&site.hr, &site.transport);
    eventually(vec![18, 19, 20], async || left()).await?;
    consumer.stop().await?;
    relay.stop().await
}

#[tokio::test]
async fn retention_keeps_what_all_have_settled() -> Result<()> {
    let mut site = Site::new().await?;
    site.keep(Duration::from_hours(1), 0);
    let relay = site::relay(&site.crm, &site.transport);
    let consumer = consume(&site.hr, &site.transport);
    site.publish(&events(1..=5)).await?;
    site.settled("hr", 5).await?;
    relay.stop().await?;
    // As if they had been numbered long ago, but for the last two.
    let crm = Connection::open(site.path("crm.db"))?;
    crm.busy_timeout(Duration::from_secs(10))?;
    crm.execute_batch(
        "CREATE TABLE trigger_text AS SELECT sql FROM sqlite_schema WHERE name = 'outbox_update';
         DROP TRIGGER outbox_update;
         UPDATE outbox SET numbered_at = 0 WHERE seq <= 3;",
    )?;
    let trigger: String = crm.query_row("SELECT sql FROM trigger_text", [], |row| row.get(0))?;
    crm.execute_batch(&trigger)?;
    let relay = site::relay(&site.crm, &site.transport);
    let left = || {
        numbers(
            &site.path("crm.db"),
            "SELECT coalesce(seq, 0) FROM outbox ORDER BY seq",
        )
    };
    eventually(vec![4, 5], async || left()).await?;
    consumer.stop().await?;
    relay.stop().await
}

#[tokio::test]
async fn a_late_comer_is_refused_unless_it_says_from_where() -> Result<()> {
    let mut site = Site::new().await?;
    site.keep(Duration::ZERO, 0);
    let relay = site::relay(&site.crm, &site.transport);
    site.publish(&events(1..=5)).await?;
    eventually(Vec::<u64>::new(), async || {
        numbers(&site.path("crm.db"), "SELECT coalesce(seq, 0) FROM outbox")
    })
    .await?;
    let refusal = consume(&site.hr, &site.transport).refusal().await?;
    assert!(
        matches!(&refusal, consumer::Error::Late { base, .. } if *base == at(5)),
        "{refusal}"
    );

    let hr = site.hr.clone().from_oldest(true);
    let consumer = consume(&hr, &site.transport);
    site.publish(&events(6..=7)).await?;
    consumer.until(|status| settled(status, 7)).await?;
    assert_eq!(site.inbox()?, ["e6 applied", "e7 applied"]);
    consumer.stop().await?;
    relay.stop().await
}

#[tokio::test]
async fn a_removed_subscriber_holds_nothing_until_it_comes_back() -> Result<()> {
    let mut site = Site::new().await?;
    site.keep(Duration::ZERO, 0);
    let relay = site::relay(&site.crm, &site.transport);
    let consumer = consume(&site.hr, &site.transport);
    site.publish(&events(1..=1)).await?;
    site.settled("hr", 1).await?;
    consumer.stop().await?;
    site.publish(&events(2..=5)).await?;
    relay.until(|status| settled(status, 5)).await?;
    let crm = site.crm.database();
    assert!(
        crm.unsubscribe(&site.stream(), &AppName::new("hr")?)
            .await?
    );
    eventually(Vec::<u64>::new(), async || {
        numbers(&site.path("crm.db"), "SELECT coalesce(seq, 0) FROM outbox")
    })
    .await?;

    // It was told that nothing is kept for it: what is gone is not passed over quietly.
    let consumer = consume(&site.hr, &site.transport);
    site.publish(&events(6..=6)).await?;
    consumer
        .until(|status| {
            let feed = status.feeds.get(&Feed::Owned(shard(0)));
            feed.is_some_and(
                |feed| matches!(&feed.state, State::Stalled(why) if why.contains("1-1")),
            )
        })
        .await?;
    assert_eq!(site.inbox()?, ["e1 applied"]);
    consumer.stop().await?;
    relay.stop().await
}

#[tokio::test]
async fn a_restored_follower_says_so_and_gets_everything_again() -> Result<()> {
    let site = Site::new().await?;
    let relay = site::relay(&site.crm, &site.transport);
    let consumer = consume(&site.hr, &site.transport);
    site.publish(&events(1..=3)).await?;
    site.settled("hr", 3).await?;
    let backup = site.back_up("hr.db")?;
    site.publish(&events(4..=9)).await?;
    site.settled("hr", 9).await?;
    consumer.stop().await?;
    // All that the stream still had of it is gone too.
    site.restore(&backup, "hr.db")?;
    fs::remove_file(site.path("log/events.db"))?;
    let consumer = consume(&site.hr, &site.transport);
    consumer.until(|status| settled(status, 9)).await?;
    let all: Vec<_> = (1..=9).map(|n| format!("e{n} applied")).collect();
    assert_eq!(site.inbox()?, all);
    consumer.stop().await?;
    relay.stop().await
}

#[tokio::test]
async fn another_database_in_its_name_frees_nothing() -> Result<()> {
    let mut site = Site::new().await?;
    site.keep(Duration::ZERO, 0);
    let relay = site::relay(&site.crm, &site.transport);
    let consumer = consume(&site.hr, &site.transport);
    site.publish(&events(1..=1)).await?;
    site.settled("hr", 1).await?;
    consumer.stop().await?;
    site.publish(&events(2..=3)).await?;
    relay.until(|status| settled(status, 3)).await?;

    let clone = site.hr_anew("clone.db").await?;
    let refusal = consume(&clone, &site.transport).refusal().await?;
    assert!(
        matches!(refusal, consumer::Error::GroupHeld { .. }),
        "{refusal}"
    );
    let database = clone.database().identity().await?.database;
    site.say_settled("hr", &database, 3).await?;
    site.checked(2).await?;
    let left = numbers(
        &site.path("crm.db"),
        "SELECT coalesce(seq, 0) FROM outbox ORDER BY seq",
    )?;
    assert_eq!(left, [2, 3]);
    assert_eq!(site.hr.database().leases(Role::Consumer).await?.len(), 2);
    relay.stop().await
}
