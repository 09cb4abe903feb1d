//! The kit itself, tried on real servers.

mod server;
