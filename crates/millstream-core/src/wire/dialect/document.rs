//! One field that holds a whole event as a JSON document.

use super::draft::Draft;
use crate::entry::Fields;
use crate::wire::json;

/// The names under which it is met.
const NAMES: [&str; 2] = ["event", "data"];

/// The document, if that is all that the entry holds.
pub(super) fn of(fields: &Fields) -> Option<(&'static str, &[u8])> {
    if fields.len() != 1 {
        return None;
    }
    NAMES
        .into_iter()
        .find_map(|name| Some((name, fields.get(name)?.as_ref())))
}

/// Makes a field of each member, so that every other dialect is read from a document too.
pub(super) fn unfold(name: &str, text: &[u8]) -> Result<Draft, String> {
    json::check(text).map_err(|e| format!("field {name} {e}"))?;
    std::str::from_utf8(text)
        .ok()
        .and_then(Draft::of_json)
        .ok_or_else(|| format!("field {name} holds text that is not Unicode"))
}
