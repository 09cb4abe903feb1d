//! The binary with applications whose databases are servers.

mod flow;
mod setups;
mod site;
