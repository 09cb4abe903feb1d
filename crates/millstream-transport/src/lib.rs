//! Where events travel: implementations of [`Log`](millstream_core::log::Log) and
//! [`Queue`](millstream_core::queue::Queue).
//!
//! Each backend is a folder with the same files and a feature of its own, and passes the same
//! suites (`millstream-testkit`).
//!
//! | feature | module | what carries the entries |
//! |---|---|---|
//! | `sqlite` (default) | [`sqlite`] | a file on one machine, or memory |
//! | `redis` | [`redis`] | Redis 7.0 and later, and Valkey |

#[cfg(feature = "redis")]
pub mod redis;
#[cfg(feature = "sqlite")]
pub mod sqlite;
