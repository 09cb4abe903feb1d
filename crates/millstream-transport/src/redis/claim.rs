use std::time::Duration;

use redis::Value;

use millstream_core::entry::EntryId;
use millstream_core::error::Error;
use millstream_core::log::ReadLimit;
use millstream_core::name::StreamName;
use millstream_core::queue::{Claimed, Member};

use super::connect::Transport;
use super::error::{Class, Fault};
use super::key::Key;
use super::reply;
use super::script::Script;

/// Pending entries that one run of the script looks at, ten in each step: the server does nothing else
/// meanwhile.
const STEPS_MAX: usize = 1_000;

static CLAIM: Script = Script::new(include_str!("scripts/claim.lua"));

pub(super) async fn claim(
    transport: &Transport,
    stream: &StreamName,
    member: &Member,
    idle_min: Duration,
    after: EntryId,
    limit: ReadLimit,
) -> Result<Claimed, Error> {
    let key = Key::shared(stream);
    if limit.count == 0 {
        return Ok(Claimed::default());
    }
    // The server's cursors include the id that they name, ours do not.
    let from = after.after().map(|id| id.to_string()).unwrap_or_default();
    let answer = CLAIM
        .run(&transport.router, key.as_str(), |command| {
            command
                .arg(member.group.as_str())
                .arg(member.consumer.as_str())
                .arg(idle_min.as_millis().min(i64::MAX as u128).to_string())
                .arg(&from)
                .arg(limit.count)
                .arg(limit.bytes)
                .arg(STEPS_MAX);
        })
        .await;
    claimed(answer, |cursor| match reply::id(cursor)? {
        EntryId::ZERO => Ok(None),
        next => Ok(Some(next.before())),
    })
    .map_err(transport.cannot("claim from", key))
}

/// Reads what the scripts answer: entries, ids of missing ones, and where to go on.
pub(super) fn claimed(
    answer: Result<Value, Fault>,
    next: impl FnOnce(Value) -> Result<Option<EntryId>, Fault>,
) -> Result<Claimed, Fault> {
    let answer = match answer {
        Err(fault) if fault.class() == Some(Class::NoGroup) => return Ok(Claimed::default()),
        answer => reply::array(answer?)?,
    };
    let Ok([entries, gone, cursor]) = <[Value; 3]>::try_from(answer) else {
        return Err(Fault::shape("a claim without its three parts"));
    };
    let gone = reply::array(gone)?.into_iter().map(reply::id);
    Ok(Claimed {
        entries: reply::entries(entries)?,
        gone: gone.collect::<Result<_, _>>()?,
        next: next(cursor)?,
    })
}
