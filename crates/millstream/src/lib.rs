//! Keeps the databases of several applications in step.
//!
//! When something happens in one application, the others' own databases follow: the application
//! writes its rows and an event in one transaction, the event travels over a log, and each subscriber
//! applies it once, in order, in one transaction with its own bookkeeping.
//!
//! | to | use |
//! |---|---|
//! | publish in your own transaction | [`sqlite::publish`]; `postgres::publish` and `mysql::publish`, with the features of these names |
//! | keep tables by mappings, or by code | [`App`] |
//! | read the same TOML file as the command line does | [`Config`] |
//! | put the parts together yourself | [`engine`], [`core`], [`sqlite`] |
//!
//! # Examples
//!
//! A handler that runs once an event, with the transaction open:
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use millstream::{App, CancellationToken};
//!
//! let transport = millstream::connect("sqlite:events.db").await?;
//! let billing = App::new("billing", "sqlite:billing.db")?
//!     .subscribe("inter-app-events")?
//!     .on("credit.allocated", |event: &millstream::Event, tx: &millstream::rusqlite::Transaction<'_>| {
//!         tx.execute("UPDATE accounts SET balance = balance + 1 WHERE id = ?1", [event.entity.as_str()])?;
//!         Ok(())
//!     });
//! billing.migrate().await?;
//! billing.consumer(&transport)?.run(CancellationToken::new()).await?;
//! # Ok(())
//! # }
//! ```

mod app;
mod captures;
mod check;
pub mod config;
mod connect;
mod database;
mod handlers;
#[cfg(feature = "mysql")]
pub mod mysql;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "redis")]
pub mod redis;
pub mod sqlite;

pub use millstream_core as core;
pub use millstream_engine as engine;
pub use rusqlite;
pub use serde_json;

pub use app::{App, InvalidName};
pub use check::Misfit;
pub use config::Config;
pub use connect::{connect, connect_to};
pub use database::Database;
pub use millstream_core::capture::Source;
pub use millstream_core::change::Op;
pub use millstream_core::event::{Event, Json, Targets};
pub use millstream_core::mapping::{Spec, ValueSpec};
pub use millstream_core::outbox::NewEvent;
pub use millstream_engine::Transport;
pub use millstream_sql::Migration;
pub use millstream_sql::identifier::Prefix;
pub use tokio_util::sync::CancellationToken;
