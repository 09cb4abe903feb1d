use std::fmt;

use redis::{Cmd, Value};

use millstream_core::entry::{Entry, EntryId, Fields, Shard};
use millstream_core::error::{Error, ErrorKind};
use millstream_core::limits::ENTRY_FIELDS_MAX;
use millstream_core::log::Appended;

use super::connect::Transport;
use super::error::Fault;
use super::key::Key;
use super::reply;
use super::script::Script;

/// Arguments of one command; servers take some more. A batch is never split: it is added whole or not
/// at all.
const ARGUMENTS_MAX: usize = 1_000_000;

/// Bytes of one batch. Servers close a connection at 1 GB.
const BATCH_BYTES_MAX: usize = 256 * 1024 * 1024;

static APPEND: Script = Script::new(include_str!("scripts/append.lua"));

pub(super) async fn append(
    transport: &Transport,
    shard: &Shard,
    last: EntryId,
    entries: &[Entry],
) -> Result<Appended, Error> {
    let key = Key::owned(shard);
    check(&key, last, entries)?;
    let answer = APPEND
        .run(&transport.router, key.as_str(), |command| {
            command.arg(last.to_string());
            add_entries(command, entries);
        })
        .await;
    answer
        .and_then(appended)
        .map_err(transport.cannot("append to", key))
}

/// Makes sure that the ids rise, and that the server takes each entry: an entry that it refuses in the
/// middle of a batch would leave those before it.
pub(super) fn check(key: &Key, below: EntryId, entries: &[Entry]) -> Result<(), Error> {
    let invalid = |text: String| Err(Error::new(ErrorKind::Invalid, text));
    let (mut below, mut arguments, mut bytes) = (below, 0, 0);
    for entry in entries {
        let Entry { id, fields } = entry;
        if *id <= below {
            return invalid(format!("cannot append {id} to {key} after {below}"));
        }
        check_fields(format_args!("entry {id} for {key}"), fields)?;
        below = *id;
        arguments += 2 + 2 * fields.len();
        bytes += fields.byte_len();
    }
    if arguments > ARGUMENTS_MAX || bytes > BATCH_BYTES_MAX {
        let count = entries.len();
        return invalid(format!(
            "{count} entries of {bytes} bytes are too many at once for {key}"
        ));
    }
    Ok(())
}

/// Makes sure that an entry has fields, and not more than a script can unpack.
pub(super) fn check_fields(entry: impl fmt::Display, fields: &Fields) -> Result<(), Error> {
    let count = fields.len();
    if (1..=ENTRY_FIELDS_MAX).contains(&count) {
        return Ok(());
    }
    let text = format!("{entry} has {count} fields, it may have 1 to {ENTRY_FIELDS_MAX}");
    Err(Error::new(ErrorKind::Invalid, text))
}

/// Adds each entry as the scripts take it: id, number of arguments, names and values.
pub(super) fn add_entries(command: &mut Cmd, entries: &[Entry]) {
    for Entry { id, fields } in entries {
        command.arg(id.to_string()).arg(2 * fields.len());
        for (name, value) in fields.iter() {
            command.arg(&**name).arg(&**value);
        }
    }
}

/// Reads the scripts' answer: nothing, or the id that was found instead.
pub(super) fn appended(answer: Value) -> Result<Appended, Fault> {
    match answer {
        Value::Nil => Ok(Appended::Added),
        found => Ok(Appended::Mismatch {
            last: reply::id(found)?,
        }),
    }
}
