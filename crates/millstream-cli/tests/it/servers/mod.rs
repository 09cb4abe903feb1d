//! The binary with applications whose databases are servers.

mod altered;
mod flow;
mod forks;
mod rights;
mod setups;
mod site;
mod telling;
