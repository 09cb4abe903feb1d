//! Sends an application's outbox to its owned streams.
//!
//! ```text
//! number rows, in one transaction ─▶ append to each shard, compared with its last id
//! ```
//!
//! A row that has a number belongs to the stream. Where a crash came between numbering and appending,
//! the stream is behind the outbox, and [`shard`] adds what is missing.

mod options;
mod service;
mod shard;
mod stream;

pub use options::{Options, StreamOptions};
pub use service::{Error, Relay};
