//! Data on stdout, everything else on stderr.

mod escape;
mod log;
mod print;
mod problems;
mod progress;
mod table;

pub(crate) use escape::{escape, escape_json};
pub(crate) use log::start_log;
pub(crate) use print::{failure, json, line, pretty, remark};
pub(crate) use problems::Problems;
pub(crate) use progress::Progress;
pub(crate) use table::Table;
