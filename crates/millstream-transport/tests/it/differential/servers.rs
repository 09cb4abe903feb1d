//! The embedded log against real servers.

use millstream_testkit::differential::{DECLARED, Side, run};
use millstream_testkit::server::{Flavour, Server};
use millstream_transport::redis::{Options, Protocol, Transport};

use super::{check_reached, memory, options};

const OPERATIONS: usize = 100_000;

/// Everything is answered alike but for what the table declares, and all of that is needed.
async fn check(flavour: Flavour, protocol: Protocol) {
    let server = Server::builder(flavour).in_memory().start().await.unwrap();
    let url = Options::parse(&server.url()).unwrap();
    let handle = Transport::connect(url.protocol(protocol)).await.unwrap();
    let left = Side::new("embedded", memory().await);
    let right = Side::new("server", handle);
    let report = run(&left, &right, DECLARED, options(OPERATIONS))
        .await
        .unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(report.operations, OPERATIONS);
    check_reached(&report);
    for difference in DECLARED {
        let name = difference.name;
        assert!(
            report.differences.contains_key(name),
            "{flavour} does not show {name:?}: {report}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_log_and_redis_answer_alike() {
    check(Flavour::Redis, Protocol::Resp2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_log_and_valkey_answer_alike() {
    check(Flavour::Valkey, Protocol::Resp3).await;
}

#[test]
fn few_differences_are_declared() {
    assert!(DECLARED.len() <= 10);
    for difference in DECLARED {
        assert!(!difference.reply.is_empty(), "{}", difference.name);
    }
}
