//! What must hold at the end. Everything is read from the databases and the log themselves.

mod all;
mod export;
mod outbox;
mod stream;
mod tables;
mod tracking;

pub(crate) use all::all;
pub(crate) use export::{HEADER, same};
pub(crate) use stream::{Extent, stream};
pub(crate) use tracking::all_in_order;
