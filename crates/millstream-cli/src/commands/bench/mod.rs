//! What this machine does: one consumer that drains a full log, and the floor under it; with a server,
//! also a relay that sends an outbox, and what both cost while nothing happens.
//!
//! The floor is what the database itself needs for the same rows: a bare loop of prepared statements
//! on one thread, 1,000 events a commit, with the same durability. Both run in this one command, in
//! turns, each in a process of its own, so that a noisy machine is noisy for both and memory is
//! theirs alone. The figures are medians of three.

mod command;
#[cfg(all(feature = "mysql", feature = "postgres"))]
mod database;
mod drain;
mod floor;
mod latency;
mod log;
mod part;
mod place;
mod report;
mod rows;
#[cfg(feature = "redis")]
mod server;

pub(in crate::commands) use command::run;
