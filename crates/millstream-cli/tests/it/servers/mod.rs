//! The binary with applications whose databases are servers.

mod altered;
mod capturing;
mod flow;
mod forks;
mod measuring;
mod mutual;
mod rights;
mod setups;
mod site;
mod telling;
