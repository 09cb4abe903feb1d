//! What a stream holds at its end.

use std::time::Duration;

use millstream::Transport;
use millstream::core::entry::{Entry, EntryId};
use millstream::core::lease::Feed;
use millstream::core::log::ReadLimit;
use millstream::core::name::StreamName;

use crate::cli::{Global, Tail};
use crate::commands::tail::follow::follow;
use crate::commands::tail::show::{print, show};
use crate::context;
use crate::exit_code::{Code, Coded};

/// Bytes of one read of the shared stream.
const BYTES_MAX: usize = 1024 * 1024;

/// Prints the last events of a stream, and goes on with what arrives where that is asked for.
pub(in crate::commands) async fn run(global: &Global, args: &Tail) -> anyhow::Result<Code> {
    let config = context::load(global)?;
    let transport = context::connect(&config).await?;
    let streams = context::select_streams(&config, &transport, args.stream.as_deref()).await?;
    let [stream] = &streams[..] else {
        let names: Vec<_> = streams.iter().map(StreamName::as_str).collect();
        return Err(Coded::invalid(format!(
            "name a stream: {}",
            names.join(", ")
        )));
    };
    let count = args.count as usize;

    let mut last = Vec::new();
    let mut feeds = vec![(Feed::Shared(stream.clone()), EntryId::ZERO)];
    for publisher in transport.log.publishers(Some(stream)).await? {
        feeds.extend(
            publisher
                .shards()
                .map(|shard| (Feed::Owned(shard), EntryId::ZERO)),
        );
    }
    for (feed, at) in &mut feeds {
        let entries = last_of(&transport, feed, count).await?;
        *at = entries.last().map_or(EntryId::ZERO, |entry| entry.id);
        last.extend(
            entries
                .into_iter()
                .map(|entry| show(feed, &entry, args.data)),
        );
    }
    // Shards have no order between them; for people, the time is a good one.
    last.sort_by_key(|shown| shown["timestamp"].as_str().unwrap_or_default().to_owned());
    let skip = last.len().saturating_sub(count);
    for shown in &last[skip..] {
        print(global, shown)?;
    }
    if args.follow {
        follow(global, args, transport, feeds).await?;
    }
    Ok(Code::Done)
}

async fn last_of(transport: &Transport, feed: &Feed, count: usize) -> anyhow::Result<Vec<Entry>> {
    let limit = ReadLimit {
        count,
        bytes: usize::MAX,
    };
    Ok(match feed {
        Feed::Owned(shard) => {
            let last = transport.log.describe(shard).await?.last;
            // Seqs are dense: the last entries are those above the top minus their count.
            let after = EntryId::new(last.high, last.low.saturating_sub(count as u64));
            transport
                .log
                .read(shard, after, limit, Duration::ZERO)
                .await?
        }
        Feed::Shared(stream) => {
            let mut kept = Vec::new();
            let mut after = EntryId::ZERO;
            loop {
                let page = ReadLimit {
                    count: 1_000,
                    bytes: BYTES_MAX,
                };
                let entries = transport.queue.range(stream, after, page).await?;
                let Some(end) = entries.last() else {
                    return Ok(kept);
                };
                after = end.id;
                kept.extend(entries);
                kept.drain(..kept.len().saturating_sub(count));
            }
        }
    })
}
