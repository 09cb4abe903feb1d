//! The processes that are killed: this same program, started by a hidden command for each part.
//!
//! Each says on its stdout how far it is ([`pulse`]), writes its log to its stderr, and stops by
//! itself, as on SIGTERM, when its stdin is closed: also when its parent died.

mod application;
mod consumer;
mod part;
mod publisher;
mod pulse;
mod relay;
mod stop;

pub(crate) use part::{Part, run};
pub(crate) use pulse::Pulse;
