//! Several servers, of which some die or hand over what they have.

mod cluster;
mod failover;

pub(crate) use cluster::{Slots, cluster};
pub(crate) use failover::{Failover, failover};
