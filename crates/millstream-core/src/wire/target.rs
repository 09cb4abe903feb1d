//! Whether an entry is for an application, and whether its owner wrote it, before it is decoded.

use crate::entry::{Entry, Shard};
use crate::limits::{NAME_BYTES_MAX, TARGETS_MAX};
use crate::name::AppName;
use crate::wire::field;

/// Whether an entry of an owned stream may be for the application.
///
/// False only when its targets are a valid list of other names. A list that is missing or not valid
/// is for everybody: [`decode`](fn@super::decode) judges it, so that it is shown and not passed over.
pub fn is_for(entry: &Entry, app: &AppName) -> bool {
    let Some(targets) = entry.fields.get(field::TARGET) else {
        return true;
    };
    let mut count = 0;
    for name in targets.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
        count += 1;
        if count > TARGETS_MAX || name == app.as_str().as_bytes() || !is_name(name) {
            return true;
        }
    }
    false
}

/// Whether an entry was written by a relay of the shard's owner, as far as can be told: it says so, and
/// that its place is the one where it stands. Anybody who may write to the stream can put others there.
pub fn is_of(shard: &Shard, entry: &Entry) -> bool {
    let has = |name: &str, value: &str| {
        let found = entry.fields.get(name);
        found.is_some_and(|found| found == value.as_bytes())
    };
    has(field::SOURCE, shard.owner.as_str())
        && has(field::GENERATION, &entry.id.high.to_string())
        && has(field::SEQ, &entry.id.low.to_string())
}

/// Whether [`AppName::new`] would accept it. `*` is no name either.
fn is_name(bytes: &[u8]) -> bool {
    let allowed = |&b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':');
    (1..=NAME_BYTES_MAX).contains(&bytes.len()) && bytes.iter().all(allowed)
}
