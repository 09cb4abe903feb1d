//! The origin's `crm:sync:*` streams: `sourceApp`, `data` as JSON text, types in snake case.

use super::draft::Draft;
use crate::wire::field;

pub(super) fn fits(draft: &Draft) -> bool {
    draft.has("data") && (draft.has("sourceApp") || draft.has("messageId"))
}

pub(super) fn translate(draft: &mut Draft) {
    draft.rename("messageId", field::EVENT_ID);
    draft.rename("sourceApp", field::SOURCE);
    draft.rename("data", field::DATA);
    // `user_created` is what everybody else calls `user.created`: one mapping serves both.
    let dotted = draft
        .text(field::EVENT_TYPE)
        .filter(|event_type| !event_type.contains('.'))
        .map(|event_type| event_type.replacen('_', ".", 1));
    if let Some(dotted) = dotted {
        draft.put(field::EVENT_TYPE, dotted.into());
    }
}
