//! Real servers as child processes.
//!
//! - [`Server`]: one Redis or Valkey on a port and in a folder of its own, to be killed, stopped,
//!   started again, and robbed of the end of its append-only file.
//!
//! Every server ends when its value is dropped, and with the process of the test, however that
//! ends. A test that panics prints the last lines of its servers and keeps their folders; with
//! `MILLSTREAM_TEST_KEEP` in the environment every folder is kept.

mod aof;
mod builder;
mod flavour;
mod folder;
mod port;
mod process;
mod spawner;
mod standalone;

pub use builder::Builder;
pub use flavour::Flavour;
pub(crate) use port::Port;
pub use standalone::Server;
