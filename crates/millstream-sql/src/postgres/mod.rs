//! PostgreSQL 13 and later: a database that the application and we reach over the network.
//!
//! Every statement of a batch writes many rows at once, since each costs a round trip. What keeps two
//! processes apart is the row of the shard, or of the key: whoever comes second waits for it.

mod apply;
mod bound;
mod capture;
mod connect;
mod database;
mod dead_letters;
mod dedupe;
pub mod error;
mod fitting;
mod generation;
mod handler;
mod inbox;
mod leases;
mod literal;
mod migrate;
mod notify;
mod number;
mod options;
mod outbox;
mod parked;
mod prune;
mod publish;
mod rights;
mod server;
mod settling;
mod store;
mod subscribers;
mod tables;
mod tls;
mod types;
mod write;

pub use database::Database;
pub use handler::{Handler, Handlers};
pub use migrate::{TABLES_VERSION, migrate, pending};
pub use notify::notifies;
pub use options::Options;
pub use publish::{publish, publish_all};
pub use rights::missing_rights;
pub use server::Server;
