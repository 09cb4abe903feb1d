//! What happens in CRM: read from a file, or made up.

mod file;
mod happening;
mod made;
mod source;

pub(crate) use happening::{Happening, event_id};
pub(crate) use source::History;
