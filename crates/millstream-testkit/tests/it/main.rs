//! The kit itself, tried on real servers.

mod proxy;
mod sentinel;
mod server;
