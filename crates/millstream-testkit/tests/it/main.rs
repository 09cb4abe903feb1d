//! The kit itself, tried on real servers.

mod cluster;
mod mariadb;
mod proxy;
mod sentinel;
mod server;
mod tls;
