//! A file of an older version is brought up to date where it lies.

use std::time::Duration;

use millstream_core::blob;
use millstream_core::descriptor::Descriptor;
use millstream_core::entry::EntryId;
use millstream_core::error::ErrorKind;
use millstream_core::log::{Appended, Log, Position, ReadLimit};
use millstream_core::queue::{Member, Queue};
use millstream_testkit::suite::Place;
use millstream_testkit::{app, database, entries, fields, instance, shard, stream};
use millstream_transport::sqlite::Transport;

use super::File;

const ALL: ReadLimit = ReadLimit {
    count: 100,
    bytes: usize::MAX,
};

/// A file that was made by the statements of version 1.
async fn old_file() -> File {
    let place = File::make().await;
    let db = rusqlite::Connection::open(place.path()).unwrap();
    db.execute_batch(include_str!("version_1.sql")).unwrap();
    for (stream, high, low) in [(1, 1, 6), (1, 1, 7), (2, 1000, 0), (2, 1000, 1)] {
        let blob = blob::encode(&fields(low));
        db.execute(
            "INSERT INTO entries VALUES (?1, ?2, ?3, ?4)",
            (stream, high, low.cast_signed(), blob),
        )
        .unwrap();
    }
    place
}

fn schema(place: &File) -> Vec<(String, Option<String>)> {
    let db = rusqlite::Connection::open(place.path()).unwrap();
    let version: i32 = db
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(version, 2);
    let mut select = db
        .prepare("SELECT name, sql FROM sqlite_schema ORDER BY name")
        .unwrap();
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

#[tokio::test]
async fn its_tables_become_those_of_a_new_file() {
    let (old, new) = (old_file().await, File::make().await);
    drop((old.connect().await, new.connect().await));
    assert_eq!(schema(&old), schema(&new));
    // And again, now that there is nothing to do.
    drop(old.connect().await);
    assert_eq!(schema(&old), schema(&new));
}

#[tokio::test]
async fn its_log_goes_on() {
    let place = old_file().await;
    let log = place.connect().await;
    let read = log
        .read(&shard(0), EntryId::ZERO, ALL, Duration::ZERO)
        .await;
    assert_eq!(read.unwrap(), entries(6..=7));
    let held = Position {
        group: app("hr"),
        database: database("d\"1"),
        at: EntryId::new(1, 5),
    };
    assert_eq!(
        log.positions(&shard(0)).await.unwrap(),
        std::slice::from_ref(&held)
    );
    let clone = Position {
        database: database("d2"),
        ..held
    };
    let error = log.publish_position(&shard(0), &clone).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced);
    let expected = Descriptor {
        stream: stream("events"),
        owner: app("crm"),
        database: database("d\"1 ü"),
        shards: 4,
        generation: 3,
        count: 0,
        bounds: Vec::new(),
        subscribers: Vec::new(),
    };
    assert_eq!(log.publishers(None).await.unwrap(), [expected]);

    let last = EntryId::new(1, 7);
    let appended = log.append(&shard(0), last, &entries(8..=8)).await;
    assert_eq!(appended.unwrap(), Appended::Added);
    let (judged, base) = (EntryId::new(1, 8), EntryId::new(1, 6));
    let replaced = log.replace(&shard(0), judged, base, &entries(7..=8)).await;
    assert_eq!(replaced.unwrap(), Appended::Added);
    log.acknowledge(&app("crm"), &fields(1)).await.unwrap();
}

#[tokio::test]
async fn its_groups_go_on() {
    let place = old_file().await;
    let queue = place.connect().await;
    let (events, hr) = (stream("events"), app("hr"));
    let consumers = queue.consumers(&events, &hr).await.unwrap();
    let known: Vec<_> = consumers
        .iter()
        .map(|consumer| (consumer.name.as_str(), consumer.pending))
        .collect();
    assert_eq!(known, [("a", 1), ("b", 1)]);
    let b = Member {
        group: hr.clone(),
        consumer: instance("b"),
    };
    let history = queue.history(&events, &b, EntryId::ZERO, ALL).await;
    assert_eq!(history.unwrap().entries[0].fields, fields(0));
    assert!(!queue.forget_consumer(&events, &b).await.unwrap());
    let held = [EntryId::new(1000, 0)];
    assert_eq!(queue.ack(&events, &hr, &held).await.unwrap(), 1);
    assert!(queue.forget_consumer(&events, &b).await.unwrap());
    assert!(queue.add(&events, &fields(2)).await.unwrap() > EntryId::new(1000, 1));
}

/// Several processes may find it at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_may_open_it_at_once() {
    let place = old_file().await;
    let opening: Vec<_> = (0..4)
        .map(|_| tokio::spawn(Transport::connect(place.options())))
        .collect();
    for opened in opening {
        let log = opened.await.unwrap().unwrap();
        let read = log
            .read(&shard(0), EntryId::ZERO, ALL, Duration::ZERO)
            .await;
        assert_eq!(read.unwrap(), entries(6..=7));
    }
}
