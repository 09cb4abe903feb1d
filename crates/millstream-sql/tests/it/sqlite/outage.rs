//! A database that cannot be written for a while, or must not.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use millstream_core::entry::Entry;
use millstream_core::error::ErrorKind;
use millstream_core::lease::{Leases, Role};
use millstream_core::store::Store;
use millstream_sql::sqlite::{Database, Options};
use millstream_testkit::suite::Site;
use millstream_testkit::suite::store::{Consumer, Source};
use millstream_testkit::{app, instance};

use super::{File, mappings, set};

const THINGS: &str = "CREATE TABLE things (id TEXT PRIMARY KEY, a TEXT, b TEXT);";

/// Everything that apply writes.
async fn written(site: &File) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for table in [
        "things",
        "millstream_inbox",
        "dead_letters",
        "millstream_shards",
    ] {
        found.push(site.rows(&format!("SELECT * FROM {table}")).await);
    }
    found
}

async fn assert_refused(
    site: &File,
    consumer: &mut Consumer<Database>,
    entries: &[Entry],
    kind: ErrorKind,
) {
    let before = written(site).await;
    let error = consumer.apply(entries).await.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert_eq!(written(site).await, before);
}

/// Nothing is settled, and nothing is blamed on an event.
pub(super) async fn assert_misconfigured(
    site: &File,
    consumer: &mut Consumer<Database>,
    entries: &[Entry],
) {
    assert_refused(site, consumer, entries, ErrorKind::Misconfigured).await;
}

#[tokio::test]
async fn a_locked_file_is_an_outage_that_ends() {
    let site = File::make("").await;
    site.execute(THINGS).await.unwrap();
    let mut source = Source::shard(0);
    let mut options = site.options(&app("hr"));
    options.sqlite.busy_timeout = Duration::from_millis(10);
    let database = Database::new(options);
    let mut consumer = Consumer::start(database, source.feed(), mappings()).await;
    let entries = [source.send(&set("1", r#"{"a":"x"}"#))];

    let other = site.open();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_refused(&site, &mut consumer, &entries, ErrorKind::Unavailable).await;
    let beat = consumer.store.beat(&instance("a"), Role::Consumer).await;
    assert_eq!(beat.unwrap_err().kind(), ErrorKind::Unavailable);
    // Whoever only reads is not held up.
    assert_eq!(consumer.store.counts().await.unwrap().total(), 0);

    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(consumer.settle(&entries).await, "1 applied");
}

/// A file that may not grow any more, as on a full disk.
#[tokio::test]
async fn a_full_database_is_an_outage_that_ends() {
    let site = File::make("").await;
    site.execute(THINGS).await.unwrap();
    let mut source = Source::shard(0);
    let pages: i64 = site
        .open()
        .query_row("PRAGMA page_count", [], |row| row.get(0))
        .unwrap();
    let full = Arc::new(AtomicI64::new(pages + 2));
    let limit = Arc::clone(&full);
    let database = Database::new_with(site.options(&app("hr")), move |db| {
        let pages = limit.load(Ordering::SeqCst);
        db.pragma_update(None, "max_page_count", pages).unwrap();
        Ok(())
    });
    let mut consumer = Consumer::start(database, source.feed(), mappings()).await;
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(20_000));
    let entries = source.send_all([&set("1", "{}"), &set("2", &large), &set("3", "{}")]);
    assert_refused(&site, &mut consumer, &entries, ErrorKind::Unavailable).await;
    assert_refused(&site, &mut consumer, &entries, ErrorKind::Unavailable).await;

    // There is room again, for a process that starts anew.
    full.store(1 << 20, Ordering::SeqCst);
    let mut consumer = Consumer::start(site.connect().await, source.feed(), mappings()).await;
    assert_eq!(consumer.settle(&entries).await, "3 applied");
}

#[tokio::test]
async fn a_missing_file_is_an_outage_that_ends() {
    let site = File::make("").await;
    let path = site.path().with_extension("elsewhere");
    let mut options = Options::file(app("hr"), &path);
    options.sqlite.busy_timeout = Duration::from_millis(10);
    let database = Database::new(options);
    assert_eq!(
        database.identity().await.unwrap_err().kind(),
        ErrorKind::Unavailable
    );
    site.execute(&format!("VACUUM INTO '{}'", path.display()))
        .await
        .unwrap();
    assert_eq!(database.identity().await.unwrap().application, app("hr"));
}
