//! From publish to commit, at a fixed rate.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use tokio::time::Instant;

use millstream::core::name::{EntityId, EventType, TenantId};
use millstream::rusqlite::Connection;
use millstream::{App, CancellationToken, Json, NewEvent};

use crate::cli::Bench;
use crate::commands::bench::command::fresh;
use crate::commands::bench::part::Measured;
use crate::commands::bench::place::Place;
use crate::commands::bench::rows;

/// The embedded log, where that is what is measured.
const LOG: &str = "latency.db";

/// How long the last event may take.
const SETTLE_MAX: Duration = Duration::from_secs(60);

/// The whole way: outbox, relay, log, consumer. One shard, so that events settle in the order in
/// which they were published, and the how-manieth was settled says which.
pub(super) async fn measure(args: &Bench, dir: &Path) -> anyhow::Result<Measured> {
    fresh(dir, LOG)?;
    let place = Place::of(args, dir, LOG)?;
    let transport = place.connect().await?;
    let address = |path: &Path| format!("sqlite:{}", path.display());
    let crm = App::new(
        place.source.as_str(),
        &address(&fresh(dir, "latency-crm.db")?),
    )?
    .publish_to_shards(place.stream.as_str(), 1)?;
    let target = fresh(dir, "latency-hr.db")?;
    Connection::open(&target)?.execute_batch(rows::TABLE)?;
    let hr = App::new("hr", &address(&target))?
        .subscribe(place.stream.as_str())?
        .map(rows::mapping());
    crm.migrate().await?;
    hr.migrate().await?;

    let stop = CancellationToken::new();
    let relay = tokio::spawn(crm.relay(&transport).run(stop.clone()));
    let consumer = hr.consumer(&transport)?;
    let handle = consumer.handle();
    let consumer = tokio::spawn(consumer.run(stop.clone()));

    let outbox = crm.database();
    let total = u64::from(args.rate) * u64::from(args.seconds);
    let publish = |n: u64| event(n, total, args.payload as usize);
    // One event first: until it has arrived, the parts are still finding each other.
    outbox.insert(&place.stream, &[publish(0)?]).await?;
    handle.wait_until(|status| status.counts.total() >= 1).await;

    let mut changed = handle.subscribe();
    let settled = tokio::spawn({
        let handle = handle.clone();
        async move {
            let mut times = Vec::new();
            loop {
                changed.borrow_and_update();
                let count = handle.status().counts.total() - 1;
                times.resize(
                    usize::try_from(count).unwrap_or(times.len()),
                    Instant::now(),
                );
                if count >= total || changed.changed().await.is_err() {
                    break;
                }
            }
            times
        }
    });

    let started = Instant::now();
    for n in 0..total {
        let due = due(started, n, args.rate);
        tokio::time::sleep_until(due).await;
        outbox.insert(&place.stream, &[publish(n + 1)?]).await?;
    }
    let settled = tokio::time::timeout(SETTLE_MAX, settled)
        .await
        .context("events are missing")??;
    stop.cancel();
    relay.await??;
    consumer.await??;

    // From when it was due: a publisher that falls behind does not make the others look faster.
    let mut latencies: Vec<Duration> = settled
        .iter()
        .zip(0..)
        .map(|(settled, n)| settled.saturating_duration_since(due(started, n, args.rate)))
        .collect();
    latencies.sort();
    let at = |percent: usize| {
        let index = (latencies.len() * percent / 100).min(latencies.len() - 1);
        latencies[index].as_secs_f64() * 1e3
    };
    Ok(Measured {
        per_second: f64::from(args.rate),
        p50_ms: at(50),
        p99_ms: at(99),
        ..Measured::default()
    })
}

fn due(started: Instant, n: u64, rate: u32) -> Instant {
    started + Duration::from_nanos(n * 1_000_000_000 / u64::from(rate))
}

pub(super) fn event(n: u64, total: u64, payload: usize) -> anyhow::Result<NewEvent> {
    let person = rows::person(n, total);
    let data = Json::parse(rows::data(&person, payload))?;
    Ok(NewEvent::new(
        EventType::new("user.updated")?,
        TenantId::new(person.tenant)?,
        EntityId::new(person.user)?,
        data,
    ))
}
