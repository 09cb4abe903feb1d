//! The binary with applications whose databases are servers.

mod capturing;
mod flow;
mod forks;
mod measuring;
mod mutual;
mod setups;
mod site;
