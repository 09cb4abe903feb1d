//! The processes of a run, and their killing.

mod member;
mod processes;

pub(crate) use member::{Kind, Member};
pub(crate) use processes::{FOLLOWERS, Fleet, RELAYS};
