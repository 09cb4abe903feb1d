//! The kit itself, tried on real servers.

mod cluster;
mod mariadb;
mod postgres;
mod proxy;
mod sentinel;
mod server;
mod tls;
