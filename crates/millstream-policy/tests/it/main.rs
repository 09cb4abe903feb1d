//! What must hold for the repository itself, held by tests.
//!
//! Each failure names the file or the package, and what to do about it. The rules are data at the
//! head of each module: changing a rule is changing a table, in a commit that says why.

mod arrows;
mod faults;
mod keys;
mod licences;
mod manifests;
mod repository;
mod tidy;
