//! Which files the embedded log takes, and what it says about the others.

use std::fs;
use std::time::Duration;

use millstream_core::entry::EntryId;
use millstream_core::error::ErrorKind;
use millstream_core::log::{Log, ReadLimit};
use millstream_testkit::suite::Place;
use millstream_testkit::{entries, entry_at, fields, shard};
use millstream_transport::sqlite::{ID_PART_MAX, Options, Transport};

use super::File;

const ALL: ReadLimit = ReadLimit {
    count: 100,
    bytes: usize::MAX,
};

async fn refused(path: &std::path::Path) -> String {
    let error = Transport::connect(Options::file(path)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misconfigured, "{error}");
    let text = error.to_string();
    assert!(text.contains(&path.display().to_string()), "{text}");
    text
}

#[tokio::test]
async fn a_missing_file_is_made_with_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("not/yet/there.db");
    let log = Transport::connect(Options::file(&path)).await.unwrap();
    assert!(path.exists());
    assert_eq!(
        format!("{log:?}"),
        format!("sqlite::Transport({})", path.display())
    );
}

#[tokio::test]
async fn a_closed_file_keeps_its_entries() {
    let place = File::make().await;
    place
        .connect()
        .await
        .append(&shard(0), EntryId::ZERO, &entries(1..=3))
        .await
        .unwrap();
    let read = place
        .connect()
        .await
        .read(&shard(0), EntryId::ZERO, ALL, Duration::ZERO)
        .await;
    assert_eq!(read.unwrap(), entries(1..=3));
}

#[tokio::test]
async fn a_newer_file_is_refused() {
    let place = File::make().await;
    drop(place.connect().await);
    let db = rusqlite::Connection::open(place.path()).unwrap();
    db.pragma_update(None, "user_version", 3).unwrap();
    let text = refused(&place.path()).await;
    assert!(text.contains("version 3"), "{text}");
}

#[tokio::test]
async fn an_application_s_database_is_refused() {
    let place = File::make().await;
    let db = rusqlite::Connection::open(place.path()).unwrap();
    db.execute_batch("CREATE TABLE users (id INTEGER PRIMARY KEY)")
        .unwrap();
    assert!(refused(&place.path()).await.contains("not an embedded log"));
    let tables: i64 = db
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .unwrap();
    assert_eq!(tables, 1, "nothing was made in it");
}

#[tokio::test]
async fn another_kind_of_file_is_refused() {
    let place = File::make().await;
    fs::write(
        place.path(),
        "not a database, but long enough to look at".repeat(100),
    )
    .unwrap();
    refused(&place.path()).await;
}

#[tokio::test]
async fn a_locked_file_is_an_outage_that_ends() {
    let place = File::make().await;
    let log = Transport::connect(place.options().busy_timeout(Duration::ZERO))
        .await
        .unwrap();
    let db = rusqlite::Connection::open(place.path()).unwrap();
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = log
        .append(&shard(0), EntryId::ZERO, &entries(1..=1))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let text = error.to_string();
    assert!(text.contains(&place.path().display().to_string()), "{text}");
    assert!(text.contains("cannot append to events:{crm:0}"), "{text}");
    db.execute_batch("ROLLBACK").unwrap();
    log.append(&shard(0), EntryId::ZERO, &entries(1..=1))
        .await
        .unwrap();
}

#[tokio::test]
async fn ids_beyond_the_limit_are_refused() {
    let log = Transport::connect(Options::memory()).await.unwrap();
    let most = EntryId::new(ID_PART_MAX, ID_PART_MAX);
    for id in [EntryId::new(1, ID_PART_MAX + 1), EntryId::new(u64::MAX, 0)] {
        let batch = [entry_at(id, fields(1))];
        let error = log
            .append(&shard(0), EntryId::ZERO, &batch)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(
            error.to_string().contains(&ID_PART_MAX.to_string()),
            "{error}"
        );
    }
    let batch = [entry_at(most, fields(1))];
    log.append(&shard(0), EntryId::ZERO, &batch).await.unwrap();
    assert_eq!(
        log.read(&shard(0), EntryId::ZERO, ALL, Duration::ZERO)
            .await
            .unwrap(),
        batch
    );
}

#[tokio::test]
async fn a_broken_entry_is_named_after_what_comes_before_it() {
    let place = File::make().await;
    let log = place.connect().await;
    log.append(&shard(0), EntryId::ZERO, &entries(1..=3))
        .await
        .unwrap();
    let db = rusqlite::Connection::open(place.path()).unwrap();
    db.execute("UPDATE entries SET fields = x'01ff' WHERE low = 2", [])
        .unwrap();
    let read = |after| {
        let log = &log;
        async move { log.read(&shard(0), after, ALL, Duration::ZERO).await }
    };
    assert_eq!(read(EntryId::ZERO).await.unwrap(), entries(1..=1));
    let error = read(EntryId::new(1, 1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let text = error.to_string();
    assert!(
        text.contains("events:{crm:0}") && text.contains("entry 1-2"),
        "{text}"
    );
    assert_eq!(read(EntryId::new(1, 2)).await.unwrap(), entries(3..=3));
}
