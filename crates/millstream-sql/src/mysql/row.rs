//! Reading columns.

use bytes::Bytes;
use mysql_async::{Row, Value};

use millstream_core::entry::{EntryId, Shard};
use millstream_core::error::{Error, ErrorKind};
use millstream_core::lease::{Checkpoint, Feed};
use millstream_core::name::{AppName, EventId, StreamName};

/// The bytes of a column; empty for null.
pub(super) fn bytes(row: &Row, column: usize) -> Bytes {
    match row.as_ref(column) {
        Some(Value::Bytes(bytes)) => Bytes::copy_from_slice(bytes),
        Some(Value::Int(number)) => Bytes::from(number.to_string()),
        Some(Value::UInt(number)) => Bytes::from(number.to_string()),
        _ => Bytes::new(),
    }
}

/// The text of a column, if it is not null. Our columns hold text that is UTF-8.
pub(super) fn text(row: &Row, column: usize) -> Option<String> {
    match row.as_ref(column) {
        None | Some(Value::NULL) => None,
        Some(_) => Some(String::from_utf8_lossy(&bytes(row, column)).into_owned()),
    }
}

/// The whole number of a column; 0 for null.
pub(super) fn integer(row: &Row, column: usize) -> i64 {
    match row.as_ref(column) {
        Some(Value::Int(number)) => *number,
        Some(Value::UInt(number)) => i64::try_from(*number).unwrap_or(i64::MAX),
        Some(Value::Bytes(bytes)) => std::str::from_utf8(bytes)
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or_default(),
        _ => 0,
    }
}

/// A number that we wrote from a `u64`.
pub(super) fn number(row: &Row, column: usize) -> u64 {
    integer(row, column).cast_unsigned()
}

/// Generation and seq from two columns.
pub(super) fn entry_id(row: &Row, first: usize) -> EntryId {
    EntryId::new(number(row, first), number(row, first + 1))
}

/// A checkpoint from three columns.
pub(super) fn checkpoint(row: &Row, first: usize) -> Checkpoint {
    Checkpoint {
        at: entry_id(row, first),
        event_id: text(row, first + 2).and_then(|id| EventId::new(id).ok()),
    }
}

/// A name; a damaged one is an error.
pub(super) fn name<T, E>(
    row: &Row,
    column: usize,
    parse: impl FnOnce(String) -> Result<T, E>,
) -> Result<T, Error>
where
    E: std::error::Error + Send + Sync + 'static,
{
    parse(text(row, column).unwrap_or_default()).map_err(|error| {
        let context = "a name in our own tables";
        Error::with_source(ErrorKind::Misconfigured, context, error)
    })
}

/// A feed from three columns.
pub(super) fn feed(row: &Row, first: usize) -> Result<Feed, Error> {
    let stream = name(row, first, StreamName::new)?;
    Ok(match u16::try_from(integer(row, first + 2)) {
        Ok(number) => Feed::Owned(Shard {
            stream,
            owner: name(row, first + 1, AppName::new)?,
            number,
        }),
        Err(_) => Feed::Shared(stream),
    })
}
