//! Sends an application's outbox to its owned streams.
//!
//! ```text
//! number rows, in one transaction ─▶ append to each shard, compared with its last id
//! ```
//!
//! A row that has a number belongs to the stream. Whatever happens to the stream, [`judge`] compares it
//! with the outbox, and [`shard`] adds what is missing, or begins it anew. [`followers`] are the
//! applications that read it; what they have settled, and nothing else, may be removed ([`upkeep`]).

mod followers;
mod judge;
mod options;
mod service;
mod shard;
mod stream;
mod upkeep;

pub use options::{Options, StreamOptions};
pub use service::{Error, Relay, fit};
