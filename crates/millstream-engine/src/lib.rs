//! What moves: the relay that sends an outbox, the consumer that applies what arrives, and the
//! publisher that events are handed to.
//!
//! Everything here works on the traits of `millstream-core`; no backend is named. Each long-lived
//! part has an `Options`, a service with `run(self, shutdown)`, and a cheap [`Handle`](status::Handle)
//! to look at it.
//!
//! The flow of one event: an application's transaction leaves a row in its outbox; the [`relay`]
//! numbers it and appends it to a shard; each [`consumer`] that subscribes reads it, judges it, and
//! applies it in one transaction with its checkpoint; then the position is published.

pub mod backoff;
pub mod consumer;
pub mod membership;
pub mod pace;
pub mod publisher;
pub mod relay;
pub mod status;
mod transport;

pub use transport::Transport;
