//! SQLite: an application's database in one file, which the application itself, the `sqlite3` shell
//! and we write at the same time.
//!
//! Our transactions are short and leave gaps (`yielding.rs`), readers are never in anybody's way
//! (WAL), and whoever can insert a row can publish an event.

mod apply;
mod capture;
mod database;
mod dead_letters;
mod dedupe;
mod generation;
mod handler;
mod inbox;
mod leases;
mod migrate;
mod outbox;
mod parked;
mod prune;
mod publish;
mod store;
mod subscribers;
mod tables;
mod write;
mod yielding;

pub use database::{Database, Options};
pub use handler::{Handler, Handlers};
pub use migrate::{TABLES_VERSION, migrate, pending};
pub use publish::{publish, publish_all};
