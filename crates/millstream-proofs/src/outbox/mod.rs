//! An outbox under many writers: nothing is lost, and each key keeps its order.

mod check;
mod proof;
mod server;
mod writer;

pub(crate) use proof::{Outbox, outbox};
pub(crate) use server::{Kind, Server, Session};
