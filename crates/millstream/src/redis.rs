//! For a transport that is a Redis or Valkey, where more of it is to be said than its URL.

pub use millstream_transport::redis::{Options, Protocol, Role, Transport};
