use super::draft::Draft;
use super::{assignment, cloud_event, credit, document, nested, sync};
use crate::entry::Fields;
use crate::wire::field;

/// Rewrites fields of any known shape into those of version 1.
///
/// # Errors
///
/// Fails when the shape is clear, but something in it is not what it must be.
pub(in crate::wire) fn translate(fields: &Fields) -> Result<Fields, String> {
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
