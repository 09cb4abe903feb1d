//! A server that goes away says nothing about the event at hand.

use millstream_core::change::Op;
use millstream_core::error::ErrorKind;
use millstream_testkit::suite::Site as _;
use millstream_testkit::suite::store::{Consumer, Source, event, spec};

use super::Site;

/// The same batch succeeds once the server is back, on connections that notice by themselves.
#[tokio::test]
async fn a_server_that_was_killed_is_unavailable_until_it_is_back() {
    let site = Site::make("").await;
    let table = "CREATE TABLE things (id text PRIMARY KEY, n integer)";
    site.execute(table).await.unwrap();
    let mut source = Source::shard(0);
    let mappings = vec![spec(
        "thing.set",
        Op::Upsert,
        "things",
        &["id = entityId"],
        &["n = data.n"],
    )];
    let mut consumer = Consumer::start(site.connect().await, source.feed(), mappings).await;
    let mut send =
        |n: u32| source.send(&event("thing.set", "acme", "7", &format!("{{\"n\":{n}}}")));
    assert_eq!(consumer.settle(&[send(1)]).await, "1 applied");

    site.server().kill().await.unwrap();
    let second = [send(2)];
    let error = consumer.apply(&second).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    site.server().start().await.unwrap();
    assert_eq!(consumer.settle(&second).await, "1 applied");

    site.server().stop_immediately().await.unwrap();
    let third = [send(3)];
    let error = consumer.apply(&third).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    site.server().start().await.unwrap();
    assert_eq!(consumer.settle(&third).await, "1 applied");
    let client = site.open().await;
    let row = client.query_one("SELECT n FROM things", &[]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 3);
}
