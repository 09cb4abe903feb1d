//! Where events land, and where they come from: an application's own database.
//!
//! One folder for each database, with the same file names in each, so that knowing one is knowing
//! all:
//!
//! | file | holds |
//! |---|---|
//! | `database.rs` | the type that implements the contracts of `millstream-core` |
//! | `migrate.rs`, `schema.sql`, `schema_2.sql` … | our tables, a script for each version |
//! | `leases.rs` | heartbeats, shard rows, epochs, checkpoints |
//! | `apply.rs` | the transaction that settles a batch |
//! | `write.rs` | statements for the application's tables |
//! | `inbox.rs`, `dead_letters.rs` | what was settled, what was parked |
//! | `dedupe.rs` | what was here before, where the checkpoint cannot tell |
//! | `outbox.rs`, `publish.rs` | what is to be sent |
//! | `subscribers.rs` | who follows what was sent, and how far |
//! | `prune.rs`, `generation.rs` | what of it may go, what must be sent again |
//! | `tables.rs` | what the application's tables look like |
//! | `capture.rs` | triggers that turn changes of its rows into events |
//!
//! Where statements cost a round trip, some of it has files of its own: `server.rs`, `options.rs` and
//! `tls.rs` say how the server is reached, `settling.rs` is the part of `apply.rs` that looks for an event that fails,
//! `literal.rs` the part of `write.rs` that writes values as texts, `types.rs` and `fitting.rs` what it must know of
//! columns, `number.rs` and `bound.rs` the part of `outbox.rs` that numbers events. SQLite numbers its schemas from their first release on, PostgreSQL
//! from its own. What knows no SQL is there once, beside the folders: `batch.rs` and `tops.rs` for what a
//! batch is made of, `repeats.rs` for what of it was here before, `old.rs` for what of an inbox may go, `described.rs` for whether a batch was planned for
//! tables as they are, `fitting.rs` for whether a column keeps all of a value, `address.rs` for URLs,
//! `encryption.rs` for what may be wrong with it.

#[cfg(any(feature = "mysql", feature = "postgres"))]
mod address;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod batch;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod capture;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod described;
#[cfg(any(feature = "mysql", feature = "postgres"))]
mod encryption;
#[cfg(any(feature = "mysql", feature = "postgres"))]
mod fitting;
pub mod identifier;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod migration;
#[cfg(feature = "mysql")]
pub mod mysql;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod old;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod repeats;
#[cfg(feature = "sqlite")]
pub mod sqlite;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod tops;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod wait;

#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
pub use migration::Migration;
