//! What was acked on the shared stream, and is not in the database that took over.

use anyhow::Result;
use millstream::engine::status::Status;

use super::place::{Place, texts};
use crate::site::{consume, event, eventually};

/// What happens besides, on the server that fails or on the one that takes over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meanwhile {
    Nothing,
    /// The lease went to another instance before, which the standby has not heard of.
    Lease,
    /// A later event of a key comes at once.
    Event,
}

async fn assert_applied_again(meanwhile: Meanwhile) -> Result<()> {
    let total = |total| move |status: &Status| status.counts.total() == total;
    let mut place = Place::new(1).await?;
    let direct = place.site.crm.direct(&place.site.transport);
    let stream = place.site.stream();
    let mut consumer = consume(&place.site.hr, &place.site.transport);
    for (id, entity, name) in [("a", "1", "Ann"), ("b", "2", "Bob")] {
        direct.publish(&stream, &event(id, entity, name)).await?;
    }
    consumer.until(total(2)).await?;
    place.pair.hold_back().await?;
    let mut known = 2;
    if meanwhile == Meanwhile::Lease {
        consumer.stop().await?;
        consumer = consume(&place.site.hr, &place.site.transport);
        known = 0;
    }
    for (id, entity, name) in [("c", "1", "Anna"), ("d", "3", "Dan")] {
        direct.publish(&stream, &event(id, entity, name)).await?;
    }
    consumer.until(total(known + 2)).await?;
    let queue = &place.site.transport.queue;
    let pending = async || Ok(queue.groups(&stream).await?[0].pending);
    eventually(0, pending).await?;
    assert_eq!(place.on_standby().await?, 2);

    place.pair.switch().await?;
    let (mut employees, mut inbox) = (
        texts(&["1=Anna", "2=Bob", "3=Dan"]),
        texts(&["a applied", "b applied", "c applied", "d applied"]),
    );
    if meanwhile == Meanwhile::Event {
        direct.publish(&stream, &event("e", "1", "Amy")).await?;
        employees[0] = "1=Amy".into();
        inbox.push("e applied".into());
    }
    place.pair.promote().await?;
    eventually(inbox, async || place.inbox().await).await?;
    assert_eq!(place.employees().await?, employees);
    eventually(0, pending).await?;
    consumer.stop().await
}

#[tokio::test]
async fn an_idle_consumer_applies_it_again() -> Result<()> {
    assert_applied_again(Meanwhile::Nothing).await
}

#[tokio::test]
async fn a_consumer_applies_it_again_before_what_comes_later() -> Result<()> {
    assert_applied_again(Meanwhile::Event).await
}

#[tokio::test]
async fn whoever_takes_the_lease_applies_it_again() -> Result<()> {
    assert_applied_again(Meanwhile::Lease).await
}
