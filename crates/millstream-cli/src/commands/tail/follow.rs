//! What arrives in a stream.

use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;

use millstream::core::entry::EntryId;
use millstream::core::lease::Feed;
use millstream::core::log::ReadLimit;
use millstream::{CancellationToken, Transport};

use crate::cli::{Global, Tail};
use crate::commands::tail::show::{print, show};
use crate::shutdown;

/// Bytes of one read of one feed.
const BYTES_MAX: usize = 1024 * 1024;

/// How long one read of an owned stream waits.
const WAIT: Duration = Duration::from_secs(1);

/// How often the shared stream is looked at, which has no reader without a group that waits.
const SHARED_INTERVAL: Duration = Duration::from_millis(200);

/// Prints what arrives in any feed, until a signal.
pub(super) async fn follow(
    global: &Global,
    args: &Tail,
    transport: Transport,
    feeds: Vec<(Feed, EntryId)>,
) -> anyhow::Result<()> {
    let stop = shutdown::on_signal()?;
    let (sender, mut arrived) = mpsc::channel(100);
    for (feed, at) in feeds {
        let (transport, sender, stop, data) =
            (transport.clone(), sender.clone(), stop.clone(), args.data);
        tokio::spawn(async move { read_on(&transport, feed, at, data, sender, stop).await });
    }
    drop(sender);
    loop {
        tokio::select! {
            shown = arrived.recv() => match shown {
                Some(shown) => print(global, &shown?)?,
                None => return Ok(()),
            },
            () = stop.cancelled() => return Ok(()),
        }
    }
}

async fn read_on(
    transport: &Transport,
    feed: Feed,
    mut at: EntryId,
    data: bool,
    sender: mpsc::Sender<anyhow::Result<Value>>,
    stop: CancellationToken,
) {
    let limit = ReadLimit {
        count: 100,
        bytes: BYTES_MAX,
    };
    while !stop.is_cancelled() {
        let entries = match &feed {
            Feed::Owned(shard) => transport.log.read(shard, at, limit, WAIT).await,
            Feed::Shared(stream) => {
                tokio::time::sleep(SHARED_INTERVAL).await;
                transport.queue.range(stream, at, limit).await
            }
        };
        let shown: Vec<anyhow::Result<Value>> = match entries {
            Ok(entries) => {
                at = entries.last().map_or(at, |entry| entry.id);
                entries
                    .iter()
                    .map(|entry| Ok(show(&feed, entry, data)))
                    .collect()
            }
            Err(error) => vec![Err(error.into())],
        };
        for shown in shown {
            if sender.send(shown).await.is_err() {
                return;
            }
        }
    }
}
