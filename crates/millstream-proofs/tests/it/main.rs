//! Short forms of the proofs, as `./test` and CONTRIBUTING.md run them at length.

mod crash;
mod databases;
mod history;
mod memory;
mod run;
