//! The kit itself, tried on real servers.

mod proxy;
mod server;
