//! The binary with applications whose databases are servers.

mod flow;
mod forks;
mod setups;
mod site;
