//! Redis 7.0 and later, and Valkey: streams that any Redis tool can look at.
//!
//! [`Transport`] implements [`Log`](millstream_core::log::Log) and
//! [`Queue`](millstream_core::queue::Queue) on one server, on the master that sentinels name, or on a
//! Cluster, all by the same code: every command has one key.
//!
//! - What is added is as durable as the server makes it, which may be not at all. Nothing here hides a
//!   loss: an append to a stream that lost its end is a mismatch, and what was lost is simply not there.
//! - A position is a consumer group with one consumer, named after the database that holds it, so that
//!   `XINFO GROUPS` shows the application's true lag.
//! - A full server still hands out, acks and trims, and takes positions, descriptors and
//!   acknowledgments; appends and additions fail as [full](millstream_core::error::Error::is_full).
//! - Each read that waits has a connection of its own. It is closed when the read is dropped.
//! - Every answer has a deadline. After a fault the connection is never used again, the master or node
//!   is looked up again, and no new connection is made for a moment of random length, so that many
//!   clients do not storm a server that comes back. Nothing is tried again here, except where a server
//!   names another: waiting is up to the caller.
//!
//! # Keys
//!
//! | key | what it holds |
//! |---|---|
//! | `inter-app-events:{crm:0}` | a shard, a stream |
//! | `inter-app-events` | a shared stream |
//! | `acknowledgments:{crm}` | messages to an owner of streams, a stream |
//! | `millstream:publishers` | descriptors, a hash with a field `inter-app-events crm` for each |

mod ack;
mod acknowledge;
mod acl;
mod add;
mod address;
mod announce;
mod append;
mod bare;
mod call;
mod claim;
mod cluster;
mod connect;
mod connection;
mod consumer;
mod describe;
mod error;
mod gate;
mod group;
mod history;
mod key;
mod log;
mod node;
mod nodes;
mod options;
mod pace;
mod page;
mod position;
mod probe;
mod queue;
mod read;
mod read_group;
mod replace;
mod reply;
mod router;
mod script;
mod secret;
mod sentinel;
mod tls;
mod trim;
mod url;

pub use acl::Role;
pub use connect::Transport;
pub use options::{Options, Protocol};
