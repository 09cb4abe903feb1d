//! An outbox full of events, and the relay that sends it.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;

use millstream::{App, CancellationToken};

use crate::cli::Bench;
use crate::commands::bench::command::fresh;
use crate::commands::bench::latency::event;
use crate::commands::bench::part::Measured;
use crate::commands::bench::place::Place;
use crate::commands::bench::rows;

/// The full one.
pub(super) const FULL: &str = "outbox.db";

/// Events of one transaction of the application.
const BATCH: u64 = 1_000;

/// How long a relay may take before it counts as stuck.
const SEND_MAX: Duration = Duration::from_hours(1);

/// Fills an outbox, as an application would. It is copied for each round.
pub(super) async fn fill(args: &Bench, dir: &Path) -> anyhow::Result<Measured> {
    let place = Place::of(args, dir, rows::LOG)?;
    let path = fresh(dir, FULL)?;
    let app = app(&place, &path)?;
    app.migrate().await?;
    let outbox = app.database();
    let events = u64::from(args.events);
    let started = Instant::now();
    for first in (0..events).step_by(usize::try_from(BATCH)?) {
        let batch = (first..events.min(first + BATCH))
            .map(|n| event(n, events, args.payload as usize))
            .collect::<anyhow::Result<Vec<_>>>()?;
        outbox.insert(&place.stream, &batch).await?;
    }
    Ok(Measured {
        per_second: f64::from(args.events) / started.elapsed().as_secs_f64(),
        ..Measured::default()
    })
}

/// Sends all of it.
pub(super) async fn send(args: &Bench, dir: &Path) -> anyhow::Result<Measured> {
    let place = Place::of(args, dir, rows::LOG)?;
    let path = fresh(dir, "relay.db")?;
    for suffix in ["", "-wal"] {
        let of = |name: &str| dir.join(format!("{name}{suffix}"));
        // Whoever closed it last has emptied the log of its writes, and removed that.
        if of(FULL).exists() {
            std::fs::copy(of(FULL), of("relay.db")).context("cannot copy the outbox")?;
        }
    }
    let transport = place.connect().await?;
    let relay = app(&place, &path)?.relay(&transport);
    let handle = relay.handle();
    let stop = CancellationToken::new();
    let running = tokio::spawn(relay.run(stop.clone()));
    // From the first event on: taking the leases is not sending.
    handle.wait_until(|status| status.sent > 0).await;
    let before = handle.status().sent;
    let started = Instant::now();
    let total = u64::from(args.events);
    let sent = handle.wait_until(|status| status.sent >= total);
    tokio::time::timeout(SEND_MAX, sent)
        .await
        .context("the outbox was not sent")?;
    let took = started.elapsed();
    stop.cancel();
    running.await??;
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let per_second = (total - before) as f64 / took.as_secs_f64();
    Ok(Measured {
        per_second,
        ..Measured::default()
    })
}

fn app(place: &Place, path: &Path) -> anyhow::Result<App> {
    let database = format!("sqlite:{}", path.display());
    let app = App::new(place.source.as_str(), &database)?;
    Ok(app.publish_to_shards(place.stream.as_str(), rows::SHARDS)?)
}
