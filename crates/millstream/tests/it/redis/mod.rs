//! Rows of the table of faults (`docs/faults.md`), with applications in this process over real servers.

mod backlog;
mod clocks;
mod competing;
mod groups;
mod herd;
mod keys;
mod lost_replies;
mod network;
mod place;
mod restarts;
mod reused_ids;
