use anyhow::Context;
use serde_json::{Value, json};

use millstream::core::entry::EntryId;
use millstream::core::lease::Feed;
use millstream::core::log::ReadLimit;
use millstream::core::name::{AppName, StreamName};
use millstream::engine::relay::StreamOptions;
use millstream::{App, Config, Transport};

use crate::cli::{Global, Trim};
use crate::commands::trim::shared::Reader;
use crate::commands::trim::{owned, shared};
use crate::context;
use crate::exit_code::{Code, Coded};
use crate::output::{self, Table};

/// Entries of the shared stream that are counted at once.
const PAGE: ReadLimit = ReadLimit {
    count: 1_000,
    bytes: 1024 * 1024,
};

/// What became of a feed.
#[derive(Debug)]
struct Trimmed {
    feed: Feed,
    /// Entries below this went, or would go; none where nothing may.
    below: Option<EntryId>,
    removed: u64,
    left: u64,
    held_by: Vec<AppName>,
    /// Why nothing went, where there is something that could.
    reason: Option<String>,
}

pub(in crate::commands) async fn run(global: &Global, args: &Trim) -> anyhow::Result<Code> {
    let config = context::load(global)?;
    let transport = context::connect(&config).await?;
    let apps = context::select(&config, &args.app)?;
    let streams = context::select_streams(&config, &transport, args.stream.as_deref()).await?;
    let mut trimmed = Vec::new();
    for stream in &streams {
        let mut owned = false;
        for app in &apps {
            for options in app.publishes().iter().filter(|one| one.name == *stream) {
                trimmed.extend(trim_owned(&transport, app, options, args.dry_run).await?);
                owned = true;
            }
        }
        if args.app.is_empty() {
            trimmed.extend(trim_shared(&config, &transport, stream, args.dry_run).await?);
        } else if !owned && args.stream.is_some() {
            let names = args.app.join(", ");
            return Err(Coded::invalid(format!(
                "{names} does not publish to {stream}"
            )));
        }
    }
    show(global, args, &trimmed)
}

async fn trim_owned(
    transport: &Transport,
    app: &App,
    stream: &StreamOptions,
    dry_run: bool,
) -> anyhow::Result<Vec<Trimmed>> {
    let plans = owned::plans(app, stream)
        .await
        .with_context(|| format!("{}: {}", app.name(), app.location()))?;
    let mut trimmed = Vec::new();
    for plan in plans {
        let found = transport.log.describe(&plan.shard).await?;
        let below = EntryId::new(plan.through.high, plan.through.low.saturating_add(1));
        let removed = if plan.through == EntryId::ZERO {
            0
        } else if dry_run {
            owned::count(&found, plan.through)
        } else {
            transport.log.trim(&plan.shard, below).await?
        };
        let left = found.length.saturating_sub(removed);
        trimmed.push(Trimmed {
            reason: (removed == 0 && left > 0).then(|| plan.keeps(found.last)),
            feed: Feed::Owned(plan.shard),
            below: (plan.through > EntryId::ZERO).then_some(below),
            removed,
            left,
            held_by: plan.held_by,
        });
    }
    Ok(trimmed)
}

async fn trim_shared(
    config: &Config,
    transport: &Transport,
    stream: &StreamName,
    dry_run: bool,
) -> anyhow::Result<Option<Trimmed>> {
    let found = transport.queue.describe_shared(stream).await?;
    if found.length == 0 {
        return Ok(None);
    }
    let readers = Reader::all(config, transport, stream).await?;
    let below = readers.iter().map(|reader| reader.needs).min();
    // Nobody has read it: nobody has said that it may go.
    let below = below.filter(|below| *below > EntryId::ZERO);
    let removed = match below {
        None => 0,
        Some(below) if dry_run => count(transport, stream, below).await?,
        Some(below) => transport.queue.trim_shared(stream, below).await?,
    };
    let lowest = readers.iter().map(|reader| reader.needs).min();
    let holders = readers
        .into_iter()
        .filter(|reader| Some(reader.needs) == lowest);
    let held_by: Vec<AppName> = holders.map(|reader| reader.name).collect();
    let left = found.length.saturating_sub(removed);
    Ok(Some(Trimmed {
        reason: (removed == 0 && left > 0).then(|| shared::keeps(&held_by, below)),
        feed: Feed::Shared(stream.clone()),
        below,
        removed,
        left,
        held_by,
    }))
}

async fn count(transport: &Transport, stream: &StreamName, below: EntryId) -> anyhow::Result<u64> {
    let mut after = EntryId::ZERO;
    let mut count = 0;
    loop {
        let page = transport.queue.range(stream, after, PAGE).await?;
        count += page.iter().take_while(|entry| entry.id < below).count() as u64;
        match page.last() {
            Some(last) if last.id < below => after = last.id,
            _ => return Ok(count),
        }
    }
}

fn show(global: &Global, args: &Trim, trimmed: &[Trimmed]) -> anyhow::Result<Code> {
    if global.json {
        for one in trimmed {
            output::json(&json(one, args.dry_run))?;
        }
        return Ok(Code::Done);
    }
    let removed = if args.dry_run {
        "would remove"
    } else {
        "removed"
    };
    let mut table = Table::new(["feed", removed, "below", "left", "held back by"]).right(1..4);
    for one in trimmed {
        let names: Vec<_> = one.held_by.iter().map(AppName::as_str).collect();
        let holders = match names[..] {
            [] => "nobody has followed it yet".to_owned(),
            _ => names.join(", "),
        };
        let below = one
            .below
            .map_or_else(|| "–".into(), |below| below.to_string());
        table.row([
            one.feed.to_string(),
            one.removed.to_string(),
            below,
            one.left.to_string(),
            holders,
        ]);
    }
    if trimmed.is_empty() {
        output::remark(global, "there is nothing to trim");
    } else {
        output::line(table)?;
    }
    for one in trimmed {
        if let Some(reason) = &one.reason {
            output::remark(global, format!("{}: {reason}", one.feed));
        }
    }
    Ok(Code::Done)
}

fn json(one: &Trimmed, dry_run: bool) -> Value {
    let (publisher, shard) = match &one.feed {
        Feed::Owned(shard) => (Some(shard.owner.as_str()), Some(shard.number)),
        Feed::Shared(_) => (None, None),
    };
    let mut value = json!({
        "stream": one.feed.stream().as_str(),
        "publisher": publisher,
        "shard": shard,
        "below": one.below.map(|below| below.to_string()),
        "removed": one.removed,
        "left": one.left,
        "heldBy": one.held_by.iter().map(AppName::as_str).collect::<Vec<_>>(),
        "reason": one.reason,
    });
    if dry_run {
        value["dryRun"] = true.into();
    }
    value
}
