//! The nested shape: `data`, and `metadata` that may hold what the top level lacks.

use super::draft::Draft;
use crate::wire::field;

/// What is looked for in the metadata when the top level does not have it.
const LIFTED: [&str; 8] = [
    field::EVENT_ID,
    field::VERSION,
    field::SOURCE,
    field::TARGET,
    field::TENANT,
    field::ENTITY,
    field::TIMESTAMP,
    field::PUBLISHED_BY,
];

pub(super) fn fits(draft: &Draft) -> bool {
    draft.has("data")
}

pub(super) fn translate(draft: &mut Draft) {
    draft.rename("data", field::DATA);
    let metadata = draft.inside(field::METADATA);
    for name in LIFTED {
        draft.lift(&metadata, name, name);
    }
    let data = draft.inside(field::DATA);
    for name in [field::TENANT, field::ENTITY] {
        draft.lift(&data, name, name);
    }
}
