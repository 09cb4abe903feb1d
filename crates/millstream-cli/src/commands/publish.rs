use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use serde_json::json;
use tokio::sync::mpsc;

use millstream::core::name::{
    AppName, EntityId, EventId, EventType, PartitionKey, StreamName, TenantId,
};
use millstream::core::outbox::Inserted;
use millstream::core::store::Store;
use millstream::engine::publisher;
use millstream::{App, Config, Json, NewEvent, Targets};

use crate::cli::{Global, Publish};
use crate::context;
use crate::exit_code::{Code, Coded};
use crate::ndjson::{LineError, Reader};
use crate::output::{self, Progress};

/// Chunks of events that wait between reading and publishing.
const CHUNKS_MAX: usize = 4;

/// How often `--wait` looks.
const WAIT_INTERVAL: Duration = Duration::from_millis(20);

pub(super) async fn run(global: &Global, args: &Publish) -> anyhow::Result<Code> {
    let config = context::load(global)?;
    let app = publisher_of(&config, args)?;
    let stream = stream_of(app, args)?;
    match &args.file {
        Some(path) => publish_file(global, args, &config, app, &stream, path).await,
        None => publish_one(global, args, &config, app, &stream).await,
    }
}

fn publisher_of<'a>(config: &'a Config, args: &Publish) -> anyhow::Result<&'a App> {
    if let Some(name) = &args.app {
        return context::find(config, name);
    }
    let publishers: Vec<&App> = config
        .apps
        .values()
        .filter(|app| !app.publishes().is_empty())
        .collect();
    match publishers[..] {
        [app] => Ok(app),
        [] => Err(Coded::invalid(
            "no application publishes anything: add publishes = [\"…\"] to one",
        )),
        _ => {
            let names: Vec<_> = publishers.iter().map(|app| app.name().as_str()).collect();
            let names = names.join(", ");
            Err(Coded::invalid(format!(
                "several applications publish: choose with --app ({names})"
            )))
        }
    }
}

fn stream_of(app: &App, args: &Publish) -> anyhow::Result<StreamName> {
    if let Some(stream) = &args.stream {
        let stream = StreamName::new(stream).map_err(|error| Coded::invalid(error.to_string()))?;
        if !args.direct && app.publishes().iter().all(|known| known.name != stream) {
            return Err(Coded::invalid(format!(
                "{} does not publish to {stream}",
                app.name()
            )));
        }
        return Ok(stream);
    }
    let first = app.publishes().first().map(|stream| stream.name.clone());
    first
        .or_else(|| app.subscribes().first().filter(|_| args.direct).cloned())
        .ok_or_else(|| Coded::invalid(format!("{} publishes to no stream", app.name())))
}

async fn publish_one(
    global: &Global,
    args: &Publish,
    config: &Config,
    app: &App,
    stream: &StreamName,
) -> anyhow::Result<Code> {
    let mut event = event_of(args).map_err(|error| Coded::invalid(format!("{error:#}")))?;
    let id = match &event.id {
        Some(id) => id.clone(),
        None => EventId::new(uuid::Uuid::now_v7().to_string()).expect("a UUID is a valid id"),
    };
    event.id = Some(id.clone());
    if args.dry_run {
        output::remark(
            global,
            format!("would publish {id} to {stream}; nothing was"),
        );
        return Ok(Code::Done);
    }
    let (way, new) = if args.direct {
        let transport = context::connect(config).await?;
        let (_, entry) = app.direct(&transport).publish(stream, &event).await?;
        (format!("entry {entry} of the shared stream {stream}"), true)
    } else {
        let events = std::slice::from_ref(&event);
        let outbox = app.database();
        let inserted = publisher::publish(&outbox, stream, events, |_| {})
            .await
            .with_context(|| format!("{}: the event was not published", app.name()))?;
        (
            format!("outbox of {}, for {stream}", app.name()),
            inserted.added == 1,
        )
    };
    if global.json {
        output::json(&json!({ "eventId": id.as_str(), "stream": stream.as_str(), "new": new }))?;
    } else {
        output::line(&id)?;
        let word = if new {
            "published"
        } else {
            "was published before (same id)"
        };
        output::remark(global, format!("{word}: {way}"));
    }
    if args.wait {
        return wait(global, args, config, app, stream, &event, &id).await;
    }
    Ok(Code::Done)
}

fn event_of(args: &Publish) -> anyhow::Result<NewEvent> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let mut event = NewEvent::new(
        EventType::new(text(&args.event_type))?,
        TenantId::new(text(&args.tenant))?,
        EntityId::new(text(&args.entity))?,
        Json::parse(args.data.clone()).context("the data")?,
    );
    event.id = args.id.as_ref().map(EventId::new).transpose()?;
    event.partition_key = args.key.as_ref().map(PartitionKey::new).transpose()?;
    if let Some(target) = &args.target {
        event.target = Targets::parse(target)?;
    }
    Ok(event)
}

/// Waits until each configured subscriber that the event is for has settled it.
async fn wait(
    global: &Global,
    args: &Publish,
    config: &Config,
    app: &App,
    stream: &StreamName,
    event: &NewEvent,
    id: &EventId,
) -> anyhow::Result<Code> {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(args.timeout);
    let subscribers = config.apps.values().filter(|other| {
        other.name() != app.name()
            && other.subscribes().contains(stream)
            && event.target.include(other.name())
    });
    for subscriber in subscribers {
        let store = subscriber.database();
        loop {
            if let Some(outcome) = store.outcome(app.name(), id).await? {
                let name = subscriber.name();
                if global.json {
                    let outcome = outcome.as_str();
                    output::json(&json!({ "app": name.as_str(), "outcome": outcome }))?;
                } else {
                    output::line(format!("{name}: {}", outcome.as_str()))?;
                }
                break;
            }
            if tokio::time::Instant::now() >= deadline {
                output::remark(
                    global,
                    format!(
                        "{} has not settled it within {} s: is `millstream run` running?",
                        subscriber.name(),
                        args.timeout
                    ),
                );
                return Ok(Code::Differs);
            }
            tokio::time::sleep(WAIT_INTERVAL).await;
        }
    }
    Ok(Code::Done)
}

async fn publish_file(
    global: &Global,
    args: &Publish,
    config: &Config,
    app: &App,
    stream: &StreamName,
    path: &Path,
) -> anyhow::Result<Code> {
    let progress = Progress::new(global);
    let bar = progress.bar("published", None);
    let way = match (args.dry_run, args.direct) {
        (true, _) => Way::Nowhere,
        (false, true) => {
            let transport = context::connect(config).await?;
            Way::Shared(app.direct(&transport))
        }
        (false, false) => Way::Outbox(app.database()),
    };
    let mut chunks = read_chunks(path, app.name())?;
    let mut total = Inserted::default();
    let mut broken = None;
    while let Some(chunk) = chunks.recv().await {
        let published = way.publish(stream, &chunk.events, |inserted| {
            total.added += inserted.added;
            total.repeated += inserted.repeated;
            bar.inc(inserted.added + inserted.repeated);
        });
        published.await.with_context(|| {
            let done = total.added + total.repeated;
            format!(
                "{done} events of {} were published before this; run it again to go on",
                path.display()
            )
        })?;
        broken = chunk.broken;
    }
    bar.finish_and_clear();

    let verb = if args.dry_run {
        "would be published"
    } else {
        "published"
    };
    let done = format!(
        "{} {verb}, {} were there before (same id)",
        total.added, total.repeated
    );
    if let Some(LineError { line, reason }) = broken {
        return Err(Coded::invalid(format!(
            "{}, line {line}: {reason:#}\n  before it: {done}\n  mend the line and run the same \
             again: it adds only what is missing",
            path.display()
        )));
    }
    if global.json {
        output::json(&json!({ "published": total.added, "repeated": total.repeated }))?;
    } else {
        output::line(done)?;
    }
    Ok(Code::Done)
}

/// Where events of a file go.
enum Way {
    Outbox(millstream::sqlite::Database),
    Shared(publisher::Direct),
    Nowhere,
}

impl Way {
    /// Publishes in order; after an error, `progress` has counted exactly what came before it.
    async fn publish(
        &self,
        stream: &StreamName,
        events: &[NewEvent],
        mut progress: impl FnMut(Inserted),
    ) -> anyhow::Result<()> {
        let added = |added| Inserted { added, repeated: 0 };
        match self {
            Self::Outbox(outbox) => {
                publisher::publish(outbox, stream, events, progress).await?;
            }
            Self::Shared(direct) => {
                for event in events {
                    direct.publish(stream, event).await?;
                    progress(added(1));
                }
            }
            Self::Nowhere => progress(added(events.len() as u64)),
        }
        Ok(())
    }
}

/// Events of some lines, and the broken line behind them where there is one.
struct Chunk {
    events: Vec<NewEvent>,
    broken: Option<LineError>,
}

/// Reads on a thread of its own, a few chunks ahead.
fn read_chunks(path: &Path, source: &AppName) -> anyhow::Result<mpsc::Receiver<Chunk>> {
    let mut reader =
        Reader::open(path, source).map_err(|error| Coded::invalid(format!("{error:#}")))?;
    let source = source.clone();
    let (sender, receiver) = mpsc::channel(CHUNKS_MAX);
    tokio::task::spawn_blocking(move || {
        loop {
            let mut chunk = Chunk {
                events: Vec::new(),
                broken: None,
            };
            while chunk.events.len() < publisher::BATCH_MAX {
                match reader.next() {
                    Ok(None) => break,
                    Ok(Some(event)) => match &event.source {
                        Some(other) if *other != source => {
                            let reason = anyhow::anyhow!(
                                "sourceApplication is not {source}: publish it with --app of its own"
                            );
                            chunk.broken = Some(LineError {
                                line: reader.line(),
                                reason,
                            });
                            break;
                        }
                        _ => chunk.events.push(event),
                    },
                    Err(error) => {
                        chunk.broken = Some(error);
                        break;
                    }
                }
            }
            let last = chunk.events.len() < publisher::BATCH_MAX;
            if sender.blocking_send(chunk).is_err() || last {
                return;
            }
        }
    });
    Ok(receiver)
}
