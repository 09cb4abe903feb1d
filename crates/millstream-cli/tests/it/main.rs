//! The binary as people and scripts meet it: arguments, stdout, stderr, exit codes, signals.

mod away;
mod capturing;
mod checking;
mod dead_letters;
mod demo;
mod employees;
mod files;
mod flow;
mod folder;
mod help;
mod logging;
mod plain;
#[cfg(feature = "redis")]
mod redis;
mod refusals;
#[cfg(all(feature = "mysql", feature = "postgres"))]
mod servers;
mod terminal;
mod waiting;
