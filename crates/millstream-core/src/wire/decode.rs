//! From an entry to an event.

use super::slots::Slots;
use super::{owned, shared};
use crate::delivery::{Decoded, Undecodable};
use crate::entry::{Entry, Fields};
use crate::lease::Feed;
use crate::limits::{ENTRY_BYTES_MAX, ENTRY_FIELDS_MAX, FIELD_BYTES_MAX};

/// Decodes an entry of a feed.
///
/// The same entry gives the same event, always: what is filled in follows from stream, entry id and
/// fields alone.
///
/// # Errors
///
/// Fails with as much as could be read, and a reason that holds no value of the entry.
pub fn decode(feed: &Feed, entry: &Entry) -> Result<Decoded, Undecodable> {
    if let Err(reason) = check_limits(&entry.fields) {
        let slots = match feed {
            Feed::Owned(_) => Slots::of(&entry.fields),
            Feed::Shared(_) => Slots::of_shared(&entry.fields),
        };
        return Err(slots.undecodable(reason));
    }
    match feed {
        Feed::Owned(shard) => owned::decode(shard, entry),
        Feed::Shared(stream) => shared::decode(stream, entry),
    }
}

pub(super) fn check_limits(fields: &Fields) -> Result<(), String> {
    if fields.len() > ENTRY_FIELDS_MAX {
        return Err(format!(
            "it has {} fields, at most {ENTRY_FIELDS_MAX} are allowed",
            fields.len()
        ));
    }
    let mut total = 0;
    for (position, (name, value)) in fields.iter().enumerate() {
        let bytes = name.len().max(value.len());
        if bytes > FIELD_BYTES_MAX {
            let position = position + 1;
            return Err(format!(
                "field {position} has {bytes} bytes, at most {FIELD_BYTES_MAX} are allowed"
            ));
        }
        total += name.len() + value.len();
    }
    if total > ENTRY_BYTES_MAX {
        return Err(format!(
            "it has {total} bytes, at most {ENTRY_BYTES_MAX} are allowed"
        ));
    }
    Ok(())
}
