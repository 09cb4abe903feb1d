//! Removing now what nobody needs, instead of waiting for its retention to pass.

mod command;
mod owned;
pub(in crate::commands) mod shared;

pub(in crate::commands) use command::run;
