use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use serde_json::json;
use tokio::sync::mpsc;

use millstream::core::name::{AppName, StreamName};
use millstream::core::outbox::{Inserted, Outbox};
use millstream::engine::publisher;
use millstream::{App, Config, NewEvent};

use crate::cli::{Global, Publish};
use crate::context;
use crate::exit_code::{Code, Coded};
use crate::ndjson::{LineError, Reader};
use crate::output::{self, Progress};

/// Chunks of events that wait between reading and publishing.
const CHUNKS_MAX: usize = 4;

pub(super) async fn publish_file(
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
        let mut counted = json!({ "published": total.added, "repeated": total.repeated });
        if args.dry_run {
            counted["dryRun"] = true.into();
        }
        output::json(&counted)?;
    } else {
        output::line(done)?;
    }
    Ok(Code::Done)
}

/// Where events of a file go.
enum Way {
    Outbox(Arc<dyn Outbox>),
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
                publisher::publish(&**outbox, stream, events, progress).await?;
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
