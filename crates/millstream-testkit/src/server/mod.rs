//! Real servers as child processes.
//!
//! - [`Server`]: one Redis or Valkey on a port and in a folder of its own, to be killed, stopped,
//!   started again, and robbed of the end of its append-only file.
//! - [`Certificates`]: an authority of its own, for TLS; and what must be refused.
//! - [`Sentinel`]: a master, replicas that follow it through a [`proxy`](crate::proxy), and three
//!   Sentinels.
//! - [`Cluster`]: three masters and their replicas, whose slots can be moved step by step.
//! - [`MariaDb`], [`Postgres`]: one database server, to be killed and started again.
//! - [`PostgresPair`]: a PostgreSQL and its standby, which takes its place without what came last.
//! - [`SmallDisk`]: a disk that is soon full, for a server's tables.
//!
//! Every server ends when its value is dropped, and with the process of the test, however that
//! ends. A test that panics prints the last lines of its servers and keeps their folders; with
//! `MILLSTREAM_TEST_KEEP` in the environment every folder is kept.

mod account;
mod aof;
mod builder;
mod clock;
mod cluster;
mod disk;
mod flavour;
mod folder;
mod mariadb;
mod memory;
mod pair;
mod port;
mod postgres;
mod process;
mod program;
mod sentinel;
mod spawner;
mod standalone;
mod tls;
mod wait;

pub use builder::Builder;
pub use cluster::{Cluster, SlotMove};
pub use disk::SmallDisk;
pub use flavour::Flavour;
pub use mariadb::{MariaDb, MariaDbBuilder};
pub use pair::PostgresPair;
pub(crate) use port::Port;
pub use postgres::{Postgres, PostgresBuilder};
pub use program::run;
pub use sentinel::{MASTER_NAME, Sentinel};
pub use standalone::Server;
pub use tls::{Certificates, Identity};
