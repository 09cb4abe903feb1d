//! A server that accepts and says nothing: it stands still, or what it says is swallowed.

use std::time::Duration;

use millstream_core::error::ErrorKind;
use millstream_core::lease::Leases as _;
use millstream_core::store::Store as _;
use millstream_sql::mysql::Database;
use millstream_testkit::app;
use millstream_testkit::proxy::{Mode, Proxy, Way};
use millstream_testkit::suite::Site as _;
use millstream_testkit::suite::store::Consumer;

use super::{mappings, set, things};

const THINGS: &str = "CREATE TABLE things (id varchar(255) PRIMARY KEY, a integer, b integer)";

/// Whatever is waited for ends, on a connection that was in use and on one that is to be made, and the
/// same batch is applied once when the server is heard again.
#[tokio::test]
async fn a_server_that_says_nothing_is_an_outage_that_ends() {
    let (site, mut source, first) = things(THINGS).await;
    drop(first);
    let proxy = Proxy::start(site.address()).unwrap();
    let mut options = site.options_at(proxy.address(), &app("hr"));
    options.statement_max = Duration::from_millis(400);
    let database = Database::new(options);
    let mut consumer = Consumer::start(database.clone(), source.feed(), mappings()).await;
    let one = [source.send(&set("1", r#"{"a":1}"#))];
    assert_eq!(consumer.settle(&one).await, "1 applied");

    let two = [source.send(&set("1", r#"{"a":2}"#))];
    for way in [Way::Down, Way::Both] {
        proxy.set(Mode::BlackHole(way));
        let error = consumer.apply(&two).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        let error = database.checkpoint(&consumer.lease).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        let error = database.counts().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        // What was held goes to connections that are there no more.
        proxy.cut().await;
        proxy.set(Mode::Pass);
        assert_eq!(database.counts().await.unwrap().total(), 1);
    }
    assert_eq!(consumer.settle(&two).await, "1 applied");
    assert_eq!(site.rows("SELECT id, a FROM things").await, ["1|2"]);
}
