//! The binary with applications whose databases are servers.

mod altered;
mod flow;
mod forks;
mod setups;
mod site;
