//! Which instance works on which feeds.
//!
//! Every instance decides for itself, from the same rows: it gives back what is above its share and
//! takes free feeds up to it. Shares follow from the sorted names of the living, so all agree once
//! they see the same; until then the epochs keep them apart.

mod decide;
mod liveness;
mod member;

pub use decide::{Decision, Unit, decide};
pub use liveness::Liveness;
pub(crate) use member::{Member, finish};

#[cfg(test)]
mod tests;
