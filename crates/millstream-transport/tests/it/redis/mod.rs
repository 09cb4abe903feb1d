//! Redis and Valkey: real servers, one for each test.

mod place;
