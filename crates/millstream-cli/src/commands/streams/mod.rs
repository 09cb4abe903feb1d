//! What streams hold, how far each application is, and who holds what back.

mod command;
mod forget;
mod owned;
mod publisher;
mod row;
mod shared;
mod state;

pub(in crate::commands) use command::run;
pub(in crate::commands) use publisher::Publisher;
