//! The origin's `crm:organization-assignments`: the entity is named inside `data` only.

use super::draft::Draft;
use super::nested;
use crate::wire::field;

const TYPES: &str = "organization.assignment.";

pub(super) fn fits(draft: &Draft) -> bool {
    draft.has("data")
        && draft
            .text(field::EVENT_TYPE)
            .is_some_and(|t| t.starts_with(TYPES))
}

pub(super) fn translate(draft: &mut Draft) {
    nested::translate(draft);
    let data = draft.inside(field::DATA);
    draft.lift(&data, "assignmentId", field::ENTITY);
}
