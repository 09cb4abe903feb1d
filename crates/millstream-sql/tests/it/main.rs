//! The suites of the contracts, run on every database, and what is special about each.

mod sqlite;
