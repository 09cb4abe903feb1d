//! What must hold at the end. Everything is read from the databases and the log themselves.

mod export;
mod outbox;
mod stream;
mod tables;
mod tracking;

pub(crate) use export::export;
pub(crate) use outbox::outbox;
pub(crate) use stream::stream;
pub(crate) use tables::tables;
pub(crate) use tracking::tracking;
