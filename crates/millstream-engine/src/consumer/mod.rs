//! Applies what arrives to an application's own tables.
//!
//! ```text
//! register ─▶ read ahead ─▶ judge ─▶ batch ─▶ apply, in one transaction with the checkpoint ─▶ report
//! ```
//!
//! [`service`] shares the feeds with other instances and runs one task for each that it holds, once
//! [`following`] says that it may; [`owned`] and [`shared`] are those tasks, [`judge`] turns entries
//! into deliveries, and [`settler`] is the only place where something is applied, and then reported
//! ([`reporter`]) or acked.

mod following;
mod held;
mod judge;
mod options;
mod owned;
mod reporter;
mod retries;
mod service;
mod settler;
mod shared;

pub use options::Options;
pub use service::{Consumer, Error, fit};
