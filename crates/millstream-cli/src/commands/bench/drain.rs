//! One consumer that drains the full log into a database.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use millstream::rusqlite::Connection;
use millstream::{App, CancellationToken};

use crate::cli::Bench;
use crate::commands::bench::command::fresh;
use crate::commands::bench::part::Measured;
use crate::commands::bench::place::Place;
use crate::commands::bench::rows;

/// How long a drain may take before it counts as stuck.
const DRAIN_MAX: Duration = Duration::from_hours(1);

pub(super) async fn measure(args: &Bench, dir: &Path) -> anyhow::Result<Measured> {
    let path = fresh(dir, "drain.db")?;
    Connection::open(&path)?.execute_batch(rows::TABLE)?;
    let place = Place::of(args, dir, rows::LOG)?;
    let app = App::new("hr", &format!("sqlite:{}", path.display()))?
        .subscribe(place.stream.as_str())?
        .map(rows::mapping());
    app.migrate().await?;
    drain(args, &place, &app).await
}

/// Has the application drain the full log.
pub(super) async fn drain(args: &Bench, place: &Place, app: &App) -> anyhow::Result<Measured> {
    let transport = place.connect().await?;
    // In the place of the database of the round before.
    let database = app.database().identity().await?.database;
    for descriptor in transport.log.publishers(Some(&place.stream)).await? {
        let descriptor = descriptor.with_subscriber(app.name(), &database);
        transport.log.announce(&descriptor).await?;
    }

    let consumer = app.consumer(&transport)?;
    let handle = consumer.handle();
    let stop = CancellationToken::new();
    let running = tokio::spawn(consumer.run(stop.clone()));
    // From the first event on: finding the stream and the other instances is not draining it.
    handle.wait_until(|status| status.counts.total() > 0).await;
    let before = handle.status().counts.total();
    let started = Instant::now();
    let total = u64::from(args.events);
    let drained = handle.wait_until(|status| status.counts.total() >= total);
    tokio::time::timeout(DRAIN_MAX, drained)
        .await
        .context("the log was not drained")?;
    let took = started.elapsed();
    stop.cancel();
    running.await??;

    let counts = handle.status().counts;
    if counts.get(millstream::core::delivery::Outcome::Applied) != total {
        bail!("not every event was applied");
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let per_second = (total - before) as f64 / took.as_secs_f64();
    Ok(Measured {
        per_second,
        ..Measured::default()
    })
}
