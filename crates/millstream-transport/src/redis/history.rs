use redis::Value;

use millstream_core::entry::EntryId;
use millstream_core::error::Error;
use millstream_core::log::ReadLimit;
use millstream_core::name::StreamName;
use millstream_core::queue::{Claimed, Member};

use super::claim::claimed;
use super::connect::Transport;
use super::key::Key;
use super::reply;
use super::script::Script;

/// Entries that one run of the script brings.
const HISTORY_MAX: usize = 1_000;

/// Pending entries that the script asks for in one step.
const STEP: usize = 100;

static HISTORY: Script = Script::new(include_str!("scripts/history.lua"));

pub(super) async fn history(
    transport: &Transport,
    stream: &StreamName,
    member: &Member,
    after: EntryId,
    limit: ReadLimit,
) -> Result<Claimed, Error> {
    let key = Key::shared(stream);
    if limit.count == 0 {
        return Ok(Claimed::default());
    }
    let answer = HISTORY
        .run(&transport.router, key.as_str(), |command| {
            command
                .arg(member.group.as_str())
                .arg(member.consumer.as_str())
                .arg(after.to_string())
                .arg(limit.count.min(HISTORY_MAX))
                .arg(limit.bytes)
                .arg(STEP);
        })
        .await;
    claimed(answer, |next| match next {
        Value::Nil => Ok(None),
        next => Ok(Some(reply::id(next)?)),
    })
    .map_err(transport.cannot("read the history of", key))
}
