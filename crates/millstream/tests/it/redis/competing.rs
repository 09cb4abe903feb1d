//! Instances that die, sleep or dawdle while they hold entries of the shared stream.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Result;
use millstream::core::log::ReadLimit;
use millstream::{App, Event, rusqlite};
use millstream_testkit::proxy::{Mode, Proxy, Way};
use millstream_testkit::server::{Flavour, Server};

use super::place::{Place, credit, member};
use crate::site::{consume, eventually};

/// Longer than any test takes to let a handler go on.
const HELD_MAX: Duration = Duration::from_secs(60);

async fn what_was_committed_is_acked_by_the_next(parallel: bool) -> Result<()> {
    const EVENTS: u64 = 20;
    let place = Place::new(1).await?;
    let hr = place.accounts()?.parallel(parallel);
    let hr = hr.claim_idle(Duration::from_millis(200));
    place.credit(1..=EVENTS).await?;
    // However often it is tried.
    for _ in 0..100 {
        place.proxy.drop_request("XACK\r\n");
    }
    let first = consume(&hr, &place.site.transport);
    first
        .until(|status| status.counts.total() == EVENTS)
        .await?;
    place
        .proxy
        .counted(|counts| counts.requests_dropped > 0)
        .await?;
    first.kill().await;
    place.proxy.drop_nothing();
    assert_eq!(place.pending().await?, EVENTS);

    let second = consume(&hr, &place.site.transport);
    second.until(|status| status.repeated == EVENTS).await?;
    eventually(0, async || place.pending().await).await?;
    second.stop().await?;
    assert_eq!(place.balance()?, EVENTS);
    assert_eq!(place.site.inbox()?.len() as u64, EVENTS);
    Ok(())
}

#[tokio::test]
async fn what_was_committed_and_not_acked_has_no_second_effect() -> Result<()> {
    what_was_committed_is_acked_by_the_next(false).await
}

#[tokio::test]
async fn what_a_competing_instance_committed_and_did_not_ack_has_no_second_effect() -> Result<()> {
    what_was_committed_is_acked_by_the_next(true).await
}

/// The server's clock jumps, since an instance has to be gone for an hour before it is forgotten.
#[tokio::test]
async fn entries_of_a_dead_instance_are_claimed_and_its_name_is_removed() -> Result<()> {
    const EVENTS: u64 = 30;
    let server = Server::builder(Flavour::Valkey).in_memory().clock_offset(0);
    let place = Place::on(server, 1).await?;
    let queue = &place.site.transport.queue;
    let (stream, dead) = (place.site.stream(), member("dead")?);
    let names = async || {
        let known = queue.consumers(&stream, &dead.group).await?;
        let name = |consumer: millstream::core::queue::Consumer| consumer.name;
        anyhow::Ok(known.into_iter().map(name).collect::<Vec<_>>())
    };
    place.credit(1..=EVENTS).await?;
    let limit = ReadLimit {
        count: 20,
        bytes: usize::MAX,
    };
    let taken = queue
        .read_group(&stream, &dead, limit, Duration::ZERO)
        .await?;
    assert_eq!(taken.len(), 20);

    let hr = place.accounts()?.parallel(true);
    let hr = hr.claim_idle(Duration::from_millis(200));
    let first = consume(&hr, &place.site.transport);
    first
        .until(|status| status.counts.total() == EVENTS)
        .await?;
    eventually(0, async || place.pending().await).await?;
    first.stop().await?;
    assert!(names().await?.contains(&dead.consumer), "it may come back");

    place.server.set_clock_offset(2 * 60 * 60).await?;
    let second = consume(&hr, &place.site.transport);
    eventually(false, async || Ok(names().await?.contains(&dead.consumer))).await?;
    second.stop().await?;
    assert_eq!(place.balance()?, EVENTS);
    Ok(())
}

/// Its entries reach it when another has long taken them over.
#[tokio::test]
async fn an_instance_that_slept_past_claim_idle_has_no_effect() -> Result<()> {
    let mut place = Place::new(1).await?;
    let hr = place.accounts()?.parallel(true);
    let hr = hr.claim_idle(Duration::from_millis(200));
    let sleepy = consume(&hr, &place.site.transport);
    place.blocked(1).await?;
    place.proxy.set(Mode::BlackHole(Way::Down));
    // Around the proxy.
    let through = Proxy::start(place.server.address())?;
    let url = place.server.url_at(through.address());
    place.site.transport = millstream::connect(&url).await?;
    place.credit([1]).await?;
    eventually(1, async || place.pending().await).await?;

    let awake = consume(&hr, &place.site.transport);
    awake.until(|status| status.counts.total() == 1).await?;
    eventually(0, async || place.pending().await).await?;
    place.proxy.set(Mode::Pass);
    sleepy.until(|status| status.repeated == 1).await?;
    sleepy.stop().await?;
    awake.stop().await?;
    assert_eq!((place.balance()?, place.pending().await?), (1, 0));
    Ok(())
}

/// HR, with a handler that stops at its first event until it is told to go on.
fn dawdling(hr: &App, entered: SyncSender<()>) -> (App, SyncSender<()>) {
    let (go, gate) = sync_channel(1);
    let gate = Arc::new(Mutex::new(Some(gate)));
    let handler = move |event: &Event, tx: &rusqlite::Transaction<'_>| {
        let first = gate.lock().map_err(|_| "it was poisoned")?.take();
        if let Some(gate) = first {
            entered.send(())?;
            gate.recv_timeout(HELD_MAX)?;
        }
        credit(event, tx)
    };
    (hr.clone().on("account.credited", handler), go)
}

#[tokio::test]
async fn a_handler_that_takes_longer_than_claim_idle_has_one_effect() -> Result<()> {
    let place = Place::new(1).await?;
    let hr = place.accounts()?.parallel(true);
    let hr = hr.claim_idle(Duration::from_millis(200));
    let (entered, is_in) = sync_channel(1);
    let (hr, go) = dawdling(&hr, entered);
    let both = [(); 2].map(|()| consume(&hr, &place.site.transport));
    place.blocked(2).await?;
    place.credit([1]).await?;
    tokio::task::spawn_blocking(move || is_in.recv_timeout(HELD_MAX)).await??;

    let holder = async || {
        let pending: Vec<(String, String, u64, u64)> = place
            .server
            .query(&["XPENDING", "events", "hr", "-", "+", "1"])
            .await?;
        anyhow::Ok(pending.into_iter().next().map(|(_, consumer, ..)| consumer))
    };
    let first = holder().await?;
    eventually(true, async || Ok(holder().await? != first)).await?;
    go.send(())?;
    let counted = || {
        let statuses = both.each_ref().map(|one| one.handle.status());
        let applied: u64 = statuses.iter().map(|status| status.counts.total()).sum();
        let repeated: u64 = statuses.iter().map(|status| status.repeated).sum();
        (applied, repeated)
    };
    eventually((1, 1), async || Ok(counted())).await?;
    eventually(0, async || place.pending().await).await?;
    for one in both {
        one.stop().await?;
    }
    assert_eq!((place.balance()?, place.site.inbox()?.len()), (1, 1));
    Ok(())
}
