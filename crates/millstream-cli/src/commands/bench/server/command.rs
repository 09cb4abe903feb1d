use std::path::Path;

use anyhow::{Context, bail};

use millstream::core::descriptor::Descriptor;
use millstream::core::name::DatabaseId;
use millstream::{config, redis};

use crate::cli::{Bench, Global};
use crate::commands::bench::command::{ROUNDS, median};
use crate::commands::bench::part::{self, Part};
use crate::commands::bench::place::Place;
use crate::commands::bench::rows;
use crate::commands::bench::server::part::ServerPart;
use crate::commands::bench::server::report::{self, Results};
use crate::commands::bench::server::{idle, outbox};
use crate::exit_code::{Code, Coded};
use crate::output::Progress;

/// Measures all parts in turns, and removes what they left on the server.
pub(in crate::commands::bench) async fn run(
    global: &Global,
    args: &Bench,
    url: &str,
) -> anyhow::Result<Code> {
    let server = connect(url).await?;
    let temporary;
    let dir = match &args.dir {
        Some(dir) => {
            std::fs::create_dir_all(dir)
                .with_context(|| format!("cannot make {}", dir.display()))?;
            if dir.join(outbox::FULL).exists() {
                bail!(
                    "{} holds a measurement already: choose another folder",
                    dir.display()
                );
            }
            dir.as_path()
        }
        None => {
            temporary = tempfile::tempdir()?;
            temporary.path()
        }
    };
    let run = uuid::Uuid::new_v4().simple().to_string();
    let args = Bench {
        run: Some(run[..12].to_owned()),
        ..args.clone()
    };
    let measured = measure(global, &args, dir, &server).await;
    // Whatever came of it.
    clear(&server, &args, dir).await?;
    report::print(global, &args, url, &measured?)?;
    Ok(Code::Done)
}

/// Connects as the parts do, past the trait.
pub(super) async fn connect(url: &str) -> anyhow::Result<redis::Transport> {
    let options = match config::Transport::parse(url) {
        Ok(config::Transport::Redis(options)) => *options,
        Ok(_) => {
            let message = "--transport takes redis://… and its relatives; the embedded log is what is \
                           measured without it";
            return Err(Coded::invalid(message));
        }
        Err(error) => return Err(Coded::invalid(format!("--transport: {error}"))),
    };
    let server = redis::Transport::connect(options).await;
    server.context("cannot use the transport")
}

async fn measure(
    global: &Global,
    args: &Bench,
    dir: &Path,
    server: &redis::Transport,
) -> anyhow::Result<Results> {
    let progress = Progress::new(global);
    let bar = progress.bar("measured", Some(u64::from(5 * ROUNDS + 3)));
    let part = async |part: Part| {
        let measured = part::run(part, args, dir).await;
        bar.inc(1);
        measured
    };
    part(Part::Server(ServerPart::Outbox)).await?;
    let (mut bares, mut relays, mut appends) = (Vec::new(), Vec::new(), Vec::new());
    let (mut floors, mut drains) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        bares.push(part(Part::Server(ServerPart::Bare)).await?);
        clear(server, args, dir).await?;
        relays.push(part(Part::Server(ServerPart::Relay)).await?);
        clear(server, args, dir).await?;
        appends.push(part(Part::Server(ServerPart::Append)).await?);
        floors.push(part(Part::Floor).await?);
        drains.push(part(Part::Drain).await?);
        clear(server, args, dir).await?;
    }
    let latency = part(Part::Latency).await?;
    clear(server, args, dir).await?;
    let (idle_relay, idle_consumer) = tokio::try_join!(
        part::run(Part::Server(ServerPart::IdleRelay), args, dir),
        part::run(Part::Server(ServerPart::IdleConsumer), args, dir),
    )?;
    bar.inc(1);
    bar.finish_and_clear();
    Ok(Results {
        bare: median(bares),
        append: median(appends),
        relay: median(relays),
        floor: median(floors),
        drain: median(drains),
        latency,
        idle_relay,
        idle_consumer,
    })
}

/// Removes what parts have put onto a server.
pub(in crate::commands::bench) async fn clear_at(
    url: &str,
    args: &Bench,
    dir: &Path,
) -> anyhow::Result<()> {
    clear(&connect(url).await?, args, dir).await
}

/// Removes what the parts have put there.
async fn clear(server: &redis::Transport, args: &Bench, dir: &Path) -> anyhow::Result<()> {
    let place = Place::of(args, dir, rows::LOG)?;
    let descriptor = Descriptor::new(
        place.stream.clone(),
        place.source.clone(),
        DatabaseId::new("bench")?,
        idle::SHARDS,
    );
    Ok(server.remove_all(&descriptor).await?)
}
