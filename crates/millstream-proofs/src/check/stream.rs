use std::time::Duration;

use anyhow::{Context as _, ensure};
use millstream_core::entry::{Entry, EntryId, Shard};
use millstream_core::log::{Log, ReadLimit};
use millstream_core::name::StreamName;
use millstream_core::wire::field;

use crate::site::level::checkpoints;
use crate::site::{STREAM, Site, View};

/// Entries of one read.
const LIMIT: ReadLimit = ReadLimit {
    count: 1_000,
    bytes: 1024 * 1024,
};

/// How much of the stream must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All that was ever sent.
    Whole,
    /// What is left of it, once everybody has settled everything: any last part of it.
    Rest,
}

/// The log holds what the outbox has numbered and nothing else: dense, each entry the event that has
/// its number, behind the one that it names. Returns how many entries there are.
pub(crate) async fn stream(site: &Site, view: &View, extent: Extent) -> anyhow::Result<u64> {
    let log = site.connect().await?.log;
    let publishers = log.publishers(Some(&StreamName::new(STREAM)?)).await?;
    let crm = publishers.first().context("nobody was announced")?;
    let tops = checkpoints(&view.crm, "relay")?;
    let mut count = 0;
    for shard in crm.shards() {
        let top = tops.get(&shard.number).copied().unwrap_or_default();
        count += held(log.as_ref(), view, &shard, top, extent)
            .await
            .with_context(|| shard.to_string())?;
    }
    Ok(count)
}

async fn held(
    log: &dyn Log,
    view: &View,
    shard: &Shard,
    top: EntryId,
    extent: Extent,
) -> anyhow::Result<u64> {
    let about = log.describe(shard).await?;
    ensure!(about.last == top, "it ends at {}, not at {top}", about.last);
    let mut at = match (extent, about.first) {
        (Extent::Whole, _) => EntryId::ZERO,
        (Extent::Rest, Some(first)) => EntryId::new(first.high, first.low.saturating_sub(1)),
        (Extent::Rest, None) => top,
    };
    let mut prev = event_at(view, shard, at)?;
    let mut count = 0;
    loop {
        let entries = log.read(shard, at, LIMIT, Duration::ZERO).await?;
        if entries.is_empty() {
            break;
        }
        for entry in entries {
            let next = EntryId::new(1, at.low + 1);
            ensure!(entry.id == next, "it has {} after {at}", entry.id);
            at = next;
            count += 1;
            let event = event_at(view, shard, at)?;
            let found = text(&entry, field::EVENT_ID);
            ensure!(
                found.is_some() && found == event,
                "{at}: {found:?}, not {event:?}"
            );
            ensure!(
                text(&entry, field::PREV) == prev,
                "{at} does not name {prev:?}"
            );
            prev = event;
        }
    }
    ensure!(at == top, "its last entry is {at}, not {top}");
    Ok(count)
}

/// The event that has this number.
fn event_at(view: &View, shard: &Shard, at: EntryId) -> anyhow::Result<Option<String>> {
    let mut numbered = view.crm.prepare_cached(
        "SELECT event_id FROM outbox
         WHERE stream = ?1 AND shard = ?2 AND generation = 1 AND seq = ?3",
    )?;
    let key = (STREAM, shard.number, at.low.cast_signed());
    let mut rows = numbered.query(key)?;
    Ok(rows.next()?.map(|row| row.get(0)).transpose()?)
}

fn text(entry: &Entry, name: &str) -> Option<String> {
    let bytes = entry.fields.get(name)?;
    Some(String::from_utf8_lossy(bytes).into_owned())
}
