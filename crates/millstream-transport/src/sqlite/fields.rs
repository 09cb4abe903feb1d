use millstream_core::blob;
use millstream_core::entry::Fields;
use millstream_core::error::{Error, ErrorKind};
use millstream_core::limits::ENTRY_FIELDS_MAX;

use super::key::Key;

/// The form of a column. What other transports do not take is refused, so that an application can
/// change to one.
pub(super) fn encode(key: &Key, fields: &Fields) -> Result<Vec<u8>, Error> {
    match fields.len() {
        1..=ENTRY_FIELDS_MAX => Ok(blob::encode(fields)),
        count => Err(Error::new(
            ErrorKind::Invalid,
            format!("an entry for {key} has {count} fields, it takes 1 to {ENTRY_FIELDS_MAX}"),
        )),
    }
}
