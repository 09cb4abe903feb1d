//! How Millstream opens and uses SQLite files, for the embedded log and for applications' databases.
//!
//! - [`Options`]: which file, and how durable.
//! - [`Connection`]: a connection on a thread of its own, opened when it is first needed and opened
//!   again when the file was replaced.
//! - [`error`]: what each error code means for the event at hand.

mod connection;
pub mod error;
mod options;

pub use connection::Connection;
pub use options::{Location, Options, Synchronous};
