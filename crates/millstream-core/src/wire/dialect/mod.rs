//! Other shapes than the flat one that are met on a shared stream.
//!
//! Each dialect is a translation into the fields of version 1, tried by shape: what it does not know
//! stays as it is, and what it cannot find is left for the decoder to miss.

mod assignment;
mod cloud_event;
mod credit;
mod document;
mod draft;
mod nested;
mod sync;

use draft::Draft;

use super::field;
use crate::entry::Fields;

/// Rewrites fields of any known shape into those of version 1.
///
/// # Errors
///
/// Fails when the shape is clear, but something in it is not what it must be.
pub(super) fn translate(fields: &Fields) -> Result<Fields, String> {
    let mut draft = match document::of(fields) {
        Some((name, text)) => document::unfold(name, text)?,
        None => Draft::of(fields),
    };
    if !draft.has(field::DATA) {
        if cloud_event::fits(&draft) {
            cloud_event::translate(&mut draft)?;
        } else if sync::fits(&draft) {
            sync::translate(&mut draft);
        } else if assignment::fits(&draft) {
            assignment::translate(&mut draft);
        } else if nested::fits(&draft) {
            nested::translate(&mut draft);
        } else if credit::fits(&draft) {
            credit::translate(&mut draft)?;
        }
    }
    draft.rename("source", field::SOURCE);
    Ok(draft.into_fields())
}
