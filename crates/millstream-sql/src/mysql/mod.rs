//! MariaDB and MySQL: an application's database on a server.
//!
//! Our sessions are strict, read what is committed, and compare names byte for byte. A connection is
//! given back to the pool only when nothing is open on it: whatever ends a call early, an error or the
//! caller's loss of interest, closes the connection, and the server rolls back.

mod apply;
mod capture;
mod database;
mod dead_letters;
mod dedupe;
mod error;
mod fitting;
mod generation;
mod handler;
mod inbox;
mod leases;
mod migrate;
mod number;
mod options;
mod outbox;
mod parked;
mod prune;
mod publish;
mod row;
mod server;
mod session;
mod settling;
mod store;
mod subscribers;
mod tables;
mod write;

pub use database::Database;
pub use error::from_mysql;
pub use handler::{Handler, Handlers, Lent};
pub use migrate::{TABLES_VERSION, migrate, pending};
pub use options::Options;
pub use publish::{publish, publish_all};
pub use server::Server;
