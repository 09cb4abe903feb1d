//! Whatever happens to a server and to what it holds, the tables converge.

mod args;
mod fault;
mod idle;
mod memory;
mod process;
mod proof;
mod stage;
mod stream;
mod tally;

pub(crate) use args::{Faults, Kind};
pub(crate) use proof::faults;
