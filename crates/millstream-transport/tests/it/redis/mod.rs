//! Redis and Valkey: real servers, one for each test, or one deployment for a whole suite.

mod deployed;
mod place;
