//! A connection that is cut while its commit is on the way: nobody says what came of it, but the
//! shard's row does.

use millstream_core::change::Op;
use millstream_core::error::ErrorKind;
use millstream_core::lease::Leases as _;
use millstream_sql::postgres::Database;
use millstream_testkit::app;
use millstream_testkit::suite::Site as _;
use millstream_testkit::suite::store::{Consumer, Source, event, spec};

use super::Site;
use super::mortal::Life;

#[tokio::test]
async fn a_commit_that_got_through_unheard_is_found() {
    let site = Site::make("").await;
    let table = "CREATE TABLE things (id text PRIMARY KEY, n integer)";
    site.execute(table).await.unwrap();
    let life = Life::begin(site.address(), u64::MAX).await;
    let store = Database::new(site.options(&app("hr"), life.address()));
    let mut source = Source::shard(0);
    let mappings = vec![spec(
        "thing.set",
        Op::Upsert,
        "things",
        &["id = entityId"],
        &["n = data.n"],
    )];
    let consumer = Consumer::start(store, source.feed(), mappings).await;
    let entries = source.send_all([&event("thing.set", "acme", "7", r#"{"n":1}"#)]);
    let batch = consumer.batch(&entries);

    life.lose_commit();
    let error = consumer.apply_batch(&batch).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let checkpoint = consumer.store.checkpoint(&consumer.lease).await.unwrap();
    assert_eq!(checkpoint, Some(batch.to.clone()));
    assert_eq!(site.rows("SELECT id, n FROM things").await, ["7|1"]);

    // Whoever does not ask is told.
    let error = consumer.apply_batch(&batch).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
}
