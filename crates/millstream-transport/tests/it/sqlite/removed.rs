//! A file that is removed while it is in use.

use std::fs;
use std::time::Duration;

use millstream_core::entry::EntryId;
use millstream_core::log::{Appended, Description, Log, ReadLimit};
use millstream_core::queue::{Member, Queue};
use millstream_testkit::suite::Place;
use millstream_testkit::{app, entries, fields, instance, shard, stream};

use super::File;

const ALL: ReadLimit = ReadLimit {
    count: 100,
    bytes: usize::MAX,
};
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn what_is_gone_shows_as_a_mismatch_and_can_be_added_again() {
    let place = File::make().await;
    let (log, other) = (place.connect().await, place.connect().await);
    let last = EntryId::new(1, 5);
    log.append(&shard(0), EntryId::ZERO, &entries(1..=5))
        .await
        .unwrap();
    assert_eq!(other.describe(&shard(0)).await.unwrap().last, last);
    fs::remove_file(place.path()).unwrap();

    let appended = log.append(&shard(0), last, &entries(6..=6)).await.unwrap();
    assert_eq!(
        appended,
        Appended::Mismatch {
            last: EntryId::ZERO
        }
    );
    assert_eq!(
        other.describe(&shard(0)).await.unwrap(),
        Description::default()
    );
    log.append(&shard(0), EntryId::ZERO, &entries(4..=6))
        .await
        .unwrap();
    let read = other
        .read(&shard(0), EntryId::ZERO, ALL, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(read, entries(4..=6));
}

#[tokio::test]
async fn a_whole_folder_may_go() {
    let place = File::make().await;
    let log = place.connect().await;
    let member = Member {
        group: app("hr"),
        consumer: instance("1"),
    };
    let id = log.add(&stream("s"), &fields(1)).await.unwrap();
    log.read_group(&stream("s"), &member, ALL, Duration::ZERO)
        .await
        .unwrap();
    fs::remove_dir_all(place.path().parent().unwrap()).unwrap();

    assert_eq!(
        log.ack(&stream("s"), &member.group, &[id]).await.unwrap(),
        0
    );
    log.add(&stream("s"), &fields(2)).await.unwrap();
    let read = log
        .read_group(&stream("s"), &member, ALL, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(read[0].fields, fields(2));
}

#[tokio::test]
async fn a_reader_wakes_for_what_a_new_file_brings() {
    let place = File::make().await;
    let (reader, writer) = (place.connect().await, place.connect().await);
    let shard = shard(0);
    writer
        .append(&shard, EntryId::ZERO, &entries(1..=5))
        .await
        .unwrap();
    let read = reader.read(&shard, EntryId::new(1, 5), ALL, PATIENCE);
    let replace = async {
        fs::remove_file(place.path()).unwrap();
        writer
            .append(&shard, EntryId::ZERO, &entries(6..=6))
            .await
            .unwrap();
    };
    let (read, ()) = tokio::join!(read, replace);
    assert_eq!(read.unwrap(), entries(6..=6));
}
