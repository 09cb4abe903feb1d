//! The embedded log: streams in one SQLite file that several processes of a machine share.
//!
//! [`Transport`] implements [`Log`](millstream_core::log::Log) and
//! [`Queue`](millstream_core::queue::Queue):
//!
//! - What is appended or added survives a power cut. Positions, hand-outs and acks survive the crash
//!   of a process; after a power cut the last of them may be missing, and are then made again.
//! - A reader that waits wakes at once when its own process appends, and within
//!   some [25 ms](POLL_MAX) when another one does.
//! - A file that was removed is made again, empty, by the next call. Readers then find an empty
//!   stream, and an append is answered with a mismatch.
//! - Both halves of an id are at most [`ID_PART_MAX`].
//!
//! The file must lie on a local disk: SQLite's write-ahead log does not work over a network.

mod ack;
mod acknowledge;
mod add;
mod announce;
mod append;
mod call;
mod claim;
mod connect;
mod consumer;
mod describe;
mod fields;
mod group;
mod history;
mod id;
mod key;
mod log;
mod migrate;
mod options;
mod page;
mod position;
mod queue;
mod read;
mod read_group;
mod replace;
mod trim;
mod wake;
mod watch;

pub use connect::Transport;
pub use id::ID_PART_MAX;
pub use options::Options;
pub use watch::{POLL_MAX, POLL_MIN};
