//! The embedded log and a real server, given the same random operations.

use millstream_testkit::differential::{DECLARED, Options, Side, run};
use millstream_testkit::server::{Flavour, Server};
use millstream_transport::redis::{Options as RedisOptions, Transport};
use millstream_transport::sqlite;

use crate::differential::check_reached;

const OPERATIONS: usize = 100_000;

async fn check(flavour: Flavour) {
    let server = Server::builder(flavour).in_memory().start().await.unwrap();
    let options = RedisOptions::parse(&server.url()).unwrap();
    let right = Transport::connect(options).await.unwrap();
    let left = sqlite::Transport::connect(sqlite::Options::memory()).await;
    let (left, right) = (
        Side::new("embedded", left.unwrap()),
        Side::new("server", right),
    );
    let options = Options {
        seed: 1,
        operations: OPERATIONS,
        length: 100,
        at_once: 8,
    };
    let report = run(&left, &right, DECLARED, options)
        .await
        .unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(report.operations, OPERATIONS);
    check_reached(&report);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_answers_like_the_embedded_log() {
    check(Flavour::Redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn valkey_answers_like_the_embedded_log() {
    check(Flavour::Valkey).await;
}
