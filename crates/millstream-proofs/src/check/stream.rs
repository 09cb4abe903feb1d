use std::time::Duration;

use anyhow::{Context as _, ensure};
use millstream_core::entry::EntryId;
use millstream_core::log::ReadLimit;
use millstream_core::name::StreamName;
use millstream_core::wire::field;

use crate::site::{STREAM, Site, View};

/// Entries of one read.
const LIMIT: ReadLimit = ReadLimit {
    count: 1_000,
    bytes: 1024 * 1024,
};

/// The log holds what the outbox has numbered and nothing else: dense, each entry the event that has
/// its number, behind the one that it names.
pub(crate) async fn stream(site: &Site, view: &View, events: u64) -> anyhow::Result<()> {
    let transport = millstream::connect(&format!("sqlite:{}", site.log().display())).await?;
    let publishers = transport
        .log
        .publishers(Some(&StreamName::new(STREAM)?))
        .await?;
    let crm = publishers.first().context("nobody was announced")?;
    let mut numbered = view.crm.prepare(
        "SELECT event_id FROM outbox
         WHERE stream = ?1 AND shard = ?2 AND generation = 1 AND seq = ?3",
    )?;

    let mut count = 0;
    for shard in crm.shards() {
        let mut at = EntryId::ZERO;
        let mut prev: Option<String> = None;
        loop {
            let entries = transport
                .log
                .read(&shard, at, LIMIT, Duration::ZERO)
                .await?;
            if entries.is_empty() {
                break;
            }
            for entry in entries {
                let next = EntryId::new(1, at.low + 1);
                ensure!(entry.id == next, "{shard} has {} after {at}", entry.id);
                at = next;
                count += 1;
                let text = |name| {
                    let bytes = entry.fields.get(name)?;
                    Some(String::from_utf8_lossy(bytes).into_owned())
                };
                let key = (STREAM, shard.number, at.low.cast_signed());
                let event: String = numbered.query_row(key, |row| row.get(0))?;
                let found = text(field::EVENT_ID);
                ensure!(
                    found.as_ref() == Some(&event),
                    "{shard} {at}: {found:?}, not {event}"
                );
                ensure!(
                    text(field::PREV) == prev,
                    "{shard} {at} does not name {prev:?}"
                );
                prev = Some(event);
            }
        }
    }
    ensure!(count == events, "the log holds {count} of {events} events");
    Ok(())
}
