use millstream_core::entry::{Entry, EntryId, Fields};
use millstream_core::error::Error;
use millstream_core::limits::ACKNOWLEDGMENTS_MAX;
use millstream_core::log::ReadLimit;
use millstream_core::name::AppName;

use super::append::check_fields;
use super::connect::Transport;
use super::describe::about;
use super::key::Key;
use super::read;
use super::script::Script;

static ACKNOWLEDGE: Script = Script::new(include_str!("scripts/acknowledge.lua"));

pub(super) async fn acknowledge(
    transport: &Transport,
    owner: &AppName,
    fields: &Fields,
) -> Result<(), Error> {
    let key = Key::acknowledgments(owner);
    check_fields(format_args!("a message for {key}"), fields)?;
    let answer = ACKNOWLEDGE
        .run(&transport.router, key.as_str(), |command| {
            command.arg(ACKNOWLEDGMENTS_MAX);
            for (name, value) in fields.iter() {
                command.arg(&**name).arg(&**value);
            }
        })
        .await;
    answer
        .map(drop)
        .map_err(transport.cannot("leave a message on", key))
}

pub(super) async fn acknowledgments(
    transport: &Transport,
    owner: &AppName,
    after: EntryId,
    count: usize,
) -> Result<Vec<Entry>, Error> {
    let key = Key::acknowledgments(owner);
    let limit = ReadLimit {
        count,
        bytes: usize::MAX,
    };
    let found = read::range(transport, key.clone(), after, limit).await?;
    if !found.is_empty() || after == EntryId::ZERO {
        return Ok(found);
    }
    // Nothing above may mean that the server has lost them, and counts from below again.
    let last = about(transport, &key)
        .await
        .map_err(transport.cannot("describe", &key))?
        .last;
    match last < after {
        true => read::range(transport, key, EntryId::ZERO, limit).await,
        false => Ok(found),
    }
}
