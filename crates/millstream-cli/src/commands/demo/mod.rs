//! Four applications in one folder, and the proof that their databases agree.
//!
//! [`crm`] plays the application in which things happen: it writes its rows and its outbox in one
//! transaction. Relay and consumers are the ones that `millstream run` starts, from the same file.
//! [`agree`] then compares every target with the source, row by row.

mod agree;
mod command;
mod crm;
mod folder;
mod generate;
mod pipeline;
mod report;

pub(in crate::commands) use command::run;
