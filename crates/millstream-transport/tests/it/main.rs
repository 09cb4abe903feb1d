//! The suites of the contracts, run on every backend, and what is special about each.

mod differential;
#[cfg(feature = "redis")]
mod redis;
mod sqlite;
