//! The last events of a stream, and what arrives after them.

mod follow;
mod last;
mod show;

pub(in crate::commands) use last::run;
