//! A consumer that drains a full log into a database on a server, beside the floor of that: the same
//! rows with the same constraints, made inside the server by one connection, 1,000 events a commit.
//!
//! Everything that is made there has a name that begins with `bench_`, and is removed at the end.

mod command;
mod drain;
mod floor;
mod part;
mod report;
mod target;

pub(super) use command::run;
pub(super) use part::DatabasePart;
