use millstream_core::entry::{Entry, EntryId, Shard};
use millstream_core::error::Error;
use millstream_core::log::Appended;

use super::append::{add_entries, appended, check};
use super::connect::Transport;
use super::key::Key;
use super::script::Script;

static REPLACE: Script = Script::new(include_str!("scripts/replace.lua"));

pub(super) async fn replace(
    transport: &Transport,
    shard: &Shard,
    judged: EntryId,
    base: EntryId,
    entries: &[Entry],
) -> Result<Appended, Error> {
    let key = Key::owned(shard);
    check(&key, base, entries)?;
    let last = entries.last().map_or(base, |entry| entry.id);
    // Seqs are dense, so the base's tells how many there were before. The server's count has a sign.
    let added = base.low.saturating_add(entries.len() as u64);
    let added = added.min(i64::MAX.cast_unsigned());
    let answer = REPLACE
        .run(&transport.router, key.as_str(), |command| {
            command
                .arg(judged.to_string())
                .arg(last.to_string())
                .arg(added.to_string());
            add_entries(command, entries);
        })
        .await;
    answer
        .and_then(appended)
        .map_err(transport.cannot("replace", key))
}
