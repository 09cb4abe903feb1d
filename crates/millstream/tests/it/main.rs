//! What can only be tried with all parts together: real files, relay, log and consumers.

mod config;
mod outages;
mod panicking;
mod refusals;
mod settling;
mod shared;
mod sharing;
mod site;
mod stopping;
mod streams;
