//! The memory of a consumer does not grow with its backlog.

mod drain;
mod fill;
mod proof;

pub(crate) use drain::{Drain, drain};
pub(crate) use proof::{Memory, memory};
