//! Applies what arrives to an application's own tables.
//!
//! ```text
//! read ahead ─▶ judge ─▶ batch ─▶ apply, in one transaction with the checkpoint ─▶ publish position
//! ```
//!
//! [`service`] shares the feeds with other instances and runs one task for each that it holds;
//! [`owned`] and [`shared`] are those tasks, [`judge`] turns entries into deliveries, and
//! [`settler`] is the only place where something is applied, and then published or acked.

mod judge;
mod options;
mod owned;
mod service;
mod settler;
mod shared;

pub use options::Options;
pub use service::{Consumer, Error};
