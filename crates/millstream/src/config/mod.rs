//! The TOML file that says who publishes what, and how the others follow.
//!
//! [`Config::load`] reads and checks everything that can be checked without a database. What only
//! the tables can tell comes from [`App::check`](crate::App::check), and [`Config::locate`] and
//! [`Config::locate_source`] find its line.

mod check;
mod database;
mod error;
mod file;
mod load;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "redis"))]
mod login;
mod mapping;
mod place;
mod reach;
#[cfg(feature = "redis")]
mod redis;
mod secret;
mod sources;
mod streams;
mod transport;

pub use database::{Database, InvalidDatabase};
pub use error::{Error, Finding};
pub use load::Config;
pub use transport::{InvalidTransport, Transport};
