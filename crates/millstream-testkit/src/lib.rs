//! What the tests of several packages share.
//!
//! - [`suite`]: one conformance suite for each contract; a new backend is finished when it passes.
//! - [`differential`]: random programs on two transports, which must answer alike.
//! - [`proxy`]: a TCP proxy that breaks what passes through it.
//! - [`sample`]: entries, shards and names with little text, re-exported here.
//! - [`wrapped`]: a log around another one, to inject faults; [`repeating`] delivers entries again.
//! - [`server`]: real servers as child processes.

pub mod differential;
pub mod proxy;
pub mod repeating;
pub mod sample;
pub mod server;
pub mod suite;
pub mod wrapped;

// What replies of servers are made of.
pub use redis;

pub use sample::{app, database, entries, entry, entry_at, fields, instance, shard, stream};
