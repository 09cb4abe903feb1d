//! One event, or a file of them, into an outbox or onto the shared stream.

mod command;
mod file;
mod wait;

pub(in crate::commands) use command::run;
