//! The folder that a proof works in: a configuration, three databases, the log, and what each
//! process said.

mod folder;
pub(crate) mod level;
mod log;
mod view;

pub(crate) use folder::{EMBEDDED, Folder, STREAM, Site};
pub(crate) use level::Level;
pub(crate) use log::{Log, Served, shards};
pub(crate) use view::{View, rows, unsigned};
