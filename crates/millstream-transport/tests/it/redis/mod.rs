//! Redis and Valkey: real servers, one for each test.

mod deployed;
mod differential;
mod place;
