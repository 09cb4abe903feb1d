use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;

use millstream::core::entry::{Entry, EntryId};
use millstream::core::lease::Feed;
use millstream::core::log::ReadLimit;
use millstream::core::name::StreamName;
use millstream::core::wire;
use millstream::{CancellationToken, Transport};

use crate::cli::{Global, Tail};
use crate::context;
use crate::exit_code::{Code, Coded};
use crate::{output, shutdown};

const BYTES_MAX: usize = 1024 * 1024;
const WAIT: Duration = Duration::from_secs(1);

/// How often the shared stream is looked at, which has no reader without a group that waits.
const SHARED_INTERVAL: Duration = Duration::from_millis(200);

pub(super) async fn run(global: &Global, args: &Tail) -> anyhow::Result<Code> {
    let config = context::load(global)?;
    let streams = context::streams(&config);
    let stream = match &args.stream {
        Some(name) => StreamName::new(name).map_err(|error| Coded::invalid(error.to_string()))?,
        None => match &streams[..] {
            [stream] => stream.clone(),
            _ => {
                let names: Vec<_> = streams.iter().map(StreamName::as_str).collect();
                let names = names.join(", ");
                return Err(Coded::invalid(format!("name a stream: {names}")));
            }
        },
    };
    let transport = context::connect(&config).await?;
    let count = args.count as usize;

    let mut last = Vec::new();
    let mut feeds = vec![(Feed::Shared(stream.clone()), EntryId::ZERO)];
    for publisher in transport.log.publishers(Some(&stream)).await? {
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

/// Prints what arrives in any feed, until a signal.
async fn follow(
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

/// What an entry says, its data only when asked for.
fn show(feed: &Feed, entry: &Entry, data: bool) -> Value {
    match wire::decode(feed, entry) {
        Ok(decoded) => {
            let event = decoded.event;
            let mut shown = json!({
                "feed": feed.to_string(),
                "entry": entry.id.to_string(),
                "timestamp": event.timestamp,
                "eventId": event.id.as_str(),
                "eventType": event.event_type.as_str(),
                "tenantId": event.tenant.as_str(),
                "entityId": event.entity.as_str(),
                "sourceApplication": event.source.as_str(),
                "targetApplication": event.target.to_string(),
            });
            if data {
                shown["eventData"] =
                    serde_json::from_str(event.data.as_str()).unwrap_or(Value::Null);
            }
            shown
        }
        Err(undecodable) => json!({
            "feed": feed.to_string(),
            "entry": entry.id.to_string(),
            "error": undecodable.reason.to_string(),
        }),
    }
}

fn print(global: &Global, shown: &Value) -> anyhow::Result<()> {
    if global.json {
        return output::json(shown);
    }
    let text = |name: &str| shown[name].as_str().unwrap_or_default().to_owned();
    if shown["error"].is_string() {
        output::line(format!(
            "{} {} cannot be decoded: {}",
            text("feed"),
            text("entry"),
            text("error")
        ))?;
        return Ok(());
    }
    output::line(format!(
        "{} {} {} {} {}/{} {} → {}",
        text("timestamp"),
        text("feed"),
        text("entry"),
        text("eventType"),
        text("tenantId"),
        text("entityId"),
        text("eventId"),
        text("targetApplication"),
    ))?;
    if !shown["eventData"].is_null() {
        output::line(format!("    {}", shown["eventData"]))?;
    }
    Ok(())
}
