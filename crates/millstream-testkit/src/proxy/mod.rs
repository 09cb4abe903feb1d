//! A TCP proxy that breaks what passes through it, as a network does.
//!
//! - [`Mode`]: how bytes pass from now on: freely, slowly, late, in pieces, not at all.
//! - [`Proxy::cut`], [`Proxy::half_close`]: what happens once, to the connections that are open.
//! - [`Proxy::drop_reply_to`], [`Proxy::drop_replies`], [`Proxy::drop_request`]: what happens to a
//!   command of Redis: it ran and nobody hears of it, or it never arrived.
//! - [`Counts`]: what has happened, which a test can wait for.
//!
//! A proxy runs on a thread of its own: neither a paused clock nor a busy runtime of a test changes
//! what it does.

mod connection;
mod control;
mod counts;
mod dialogue;
mod faults;
mod handle;
mod listener;
mod mode;
mod pump;
mod resp;

pub use counts::Counts;
pub use handle::Proxy;
pub use mode::{Mode, Way};
