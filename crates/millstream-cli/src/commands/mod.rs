//! One file for each thing that can be asked.

#[cfg(feature = "redis")]
mod acl;
mod bench;
mod completions;
mod config;
mod dead_letters;
mod demo;
mod dispatch;
mod init;
mod migrate;
mod outbox;
mod publish;
mod run;
mod streams;
mod tail;
mod trim;

pub(crate) use dispatch::dispatch;
