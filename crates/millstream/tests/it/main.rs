//! What can only be tried with all parts together: real files, relay, log and consumers.

mod altered;
mod config;
mod conflicts;
mod failing;
#[cfg(feature = "postgres")]
mod failover;
mod followers;
mod forks;
mod gaps;
#[cfg(feature = "postgres")]
mod kinds;
mod outages;
mod panicking;
mod pruning;
mod read_only;
#[cfg(feature = "redis")]
mod redis;
mod refusals;
#[cfg(all(feature = "mysql", feature = "postgres"))]
mod servers;
mod settling;
mod shared;
mod sharing;
mod site;
mod stopping;
mod streams;
#[cfg(feature = "postgres")]
mod stuck;
#[cfg(feature = "redis")]
mod transport;
