//! Redis and Valkey: real servers, one for each test.

mod differential;
mod place;
