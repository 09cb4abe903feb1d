//! Redis and Valkey: real servers, one for each test, or one deployment for a whole suite.

mod acl;
mod deployed;
mod forms;
mod lag;
mod place;
mod refusals;

use millstream_core::log::ReadLimit;
use millstream_testkit::server::Server;
use millstream_transport::redis::{Options, Transport};

/// A read that is limited by nothing.
const ALL: ReadLimit = ReadLimit {
    count: usize::MAX >> 1,
    bytes: usize::MAX,
};

/// Connects to a server that lets everybody in.
async fn client(server: &Server) -> Transport {
    let options = Options::parse(&server.url()).unwrap();
    Transport::connect(options).await.unwrap()
}
