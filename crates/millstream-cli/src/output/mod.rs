//! Data on stdout, everything else on stderr.

mod log;
mod print;
mod progress;
mod table;

pub(crate) use log::start_log;
pub(crate) use print::{failure, json, line, remark};
pub(crate) use progress::Progress;
pub(crate) use table::Table;
