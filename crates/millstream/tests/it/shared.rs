//! The shared stream: anybody adds, and each event arrives once.

use std::time::Duration;

use anyhow::Result;
use millstream::core::lease::Feed;
use millstream::core::log::ReadLimit;
use millstream::core::name::{AppName, InstanceId};
use millstream::core::queue::Member;

use millstream::engine::status::Status;
use millstream::rusqlite::Connection;

use crate::site::{Site, consume, event, raw_event};

#[tokio::test]
async fn an_event_that_is_added_twice_arrives_once() -> Result<()> {
    let site = Site::new().await?;
    let direct = site.crm.direct(&site.transport);
    let stream = site.stream();
    for (id, entity, name) in [("a", "1", "Ann"), ("a", "1", "Ann"), ("b", "2", "Bob")] {
        direct.publish(&stream, &event(id, entity, name)).await?;
    }
    let consumer = consume(&site.hr, &site.transport);
    consumer.until(|status| status.counts.total() == 2).await?;
    // In a batch of its own too, and while the first is only in the inbox.
    let (_, last) = direct.publish(&stream, &event("a", "1", "Ann")).await?;
    let feed = Feed::Shared(stream.clone());
    consumer
        .until(|status| status.feeds.get(&feed).is_some_and(|feed| feed.at == last))
        .await?;
    assert_eq!(site.inbox()?, ["a applied", "b applied"]);
    assert_eq!(site.employees()?, ["acme/1=Ann,-", "acme/2=Bob,-"]);
    consumer.stop().await?;
    let groups = site.transport.queue.groups(&stream).await?;
    assert_eq!((groups[0].pending, groups[0].lag), (0, 0));
    Ok(())
}

#[tokio::test]
async fn what_a_dead_consumer_took_is_applied_first_and_in_order() -> Result<()> {
    let site = Site::new().await?;
    let direct = site.crm.direct(&site.transport);
    let stream = site.stream();
    for (id, name) in [("a", "Ann"), ("b", "Bea"), ("c", "Cid"), ("d", "Dan")] {
        direct.publish(&stream, &event(id, "1", name)).await?;
    }
    // One took the first two, another the third; neither settled anything.
    for (consumer, count) in [("dead", 2), ("gone", 1)] {
        let member = Member {
            group: AppName::new("hr")?,
            consumer: InstanceId::new(consumer)?,
        };
        let limit = ReadLimit {
            count,
            bytes: usize::MAX,
        };
        let taken = site
            .transport
            .queue
            .read_group(&stream, &member, limit, Duration::ZERO)
            .await?;
        assert_eq!(taken.len(), count);
    }

    let consumer = consume(&site.hr, &site.transport);
    consumer.until(|status| status.counts.total() == 4).await?;
    consumer.stop().await?;
    assert_eq!(
        site.inbox()?,
        ["a applied", "b applied", "c applied", "d applied"]
    );
    assert_eq!(site.employees()?, ["acme/1=Dan,-"]);
    let groups = site.transport.queue.groups(&stream).await?;
    assert_eq!((groups[0].pending, groups[0].lag), (0, 0));
    Ok(())
}

/// An event that is dead does not use up its id: what mends it waits in its turn.
#[tokio::test]
async fn an_event_that_is_mended_under_its_id_is_not_lost() -> Result<()> {
    let site = Site::new().await?;
    let direct = site.crm.direct(&site.transport);
    let stream = site.stream();
    let dead = raw_event("a", "1", r#"{"name":"Ann","salary":"a lot"}"#);
    let mended = raw_event("a", "1", r#"{"name":"Ann","salary":7}"#);
    let consumer = consume(&site.hr, &site.transport);
    let counted = |total, repeated| {
        move |status: &Status| (status.counts.total(), status.repeated) == (total, repeated)
    };
    // Both in one batch, or each in its own.
    direct.publish(&stream, &dead).await?;
    direct.publish(&stream, &mended).await?;
    consumer.until(counted(2, 0)).await?;
    direct.publish(&stream, &mended).await?;
    consumer.until(counted(3, 0)).await?;
    assert_eq!(site.inbox()?, ["a dead", "a blocked", "a blocked"]);

    // Its key is free again.
    Connection::open(site.path("hr.db"))?.execute_batch("DELETE FROM dead_letters")?;
    for repeated in 0..3 {
        direct.publish(&stream, &mended).await?;
        consumer.until(counted(4, repeated)).await?;
    }
    let inbox = ["a dead", "a blocked", "a blocked", "a applied"];
    assert_eq!(site.inbox()?, inbox);
    assert_eq!(site.employees()?, ["acme/1=Ann,7"]);
    consumer.stop().await?;
    let groups = site.transport.queue.groups(&stream).await?;
    assert_eq!((groups[0].pending, groups[0].lag), (0, 0));
    Ok(())
}

/// Instances that compete share the entries out, and take over what one of them leaves behind.
#[tokio::test]
async fn competing_instances_apply_each_event_once() -> Result<()> {
    const EVENTS: u64 = 300;
    let site = Site::new().await?;
    let direct = site.crm.direct(&site.transport);
    let stream = site.stream();
    let dead = Member {
        group: AppName::new("hr")?,
        consumer: InstanceId::new("dead")?,
    };
    for n in 1..=EVENTS {
        direct
            .publish(&stream, &event(&format!("e{n}"), &n.to_string(), "x"))
            .await?;
    }
    let limit = ReadLimit {
        count: 20,
        bytes: usize::MAX,
    };
    let queue = &site.transport.queue;
    let taken = queue
        .read_group(&stream, &dead, limit, Duration::ZERO)
        .await?;
    assert_eq!(taken.len(), 20);

    let hr = site.hr.clone().parallel(true);
    let hr = hr.claim_idle(Duration::from_millis(200));
    let consumers: Vec<_> = (0..3).map(|_| consume(&hr, &site.transport)).collect();
    crate::site::eventually(EVENTS, async || Ok(site.inbox()?.len() as u64)).await?;
    crate::site::eventually(0, async || Ok(queue.groups(&stream).await?[0].pending)).await?;
    for consumer in consumers {
        consumer.stop().await?;
    }
    let mut applied = site.inbox()?;
    applied.sort();
    applied.dedup();
    assert_eq!(applied.len() as u64, EVENTS);
    assert_eq!(site.employees()?.len() as u64, EVENTS);
    Ok(())
}
