//! Several processes on one file: the test binary starts itself again as their children.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use millstream_core::entry::EntryId;
use millstream_core::log::{Appended, Log, ReadLimit};
use millstream_testkit::suite::Place;
use millstream_testkit::{entries, shard};
use millstream_transport::sqlite::{Options, Transport};

use super::File;

const FILE: &str = "MILLSTREAM_TEST_FILE";
const SHARD: &str = "MILLSTREAM_TEST_SHARD";

const BATCHES: u64 = 30;
const BATCH: u64 = 20;
const LAST: EntryId = EntryId::new(1, BATCHES * BATCH);

/// Appends [`BATCHES`] to a shard, one after the other.
async fn append_all(log: &Transport, number: u16) {
    let mut last = EntryId::ZERO;
    for batch in 0..BATCHES {
        let entries = entries(batch * BATCH + 1..=(batch + 1) * BATCH);
        let appended = log.append(&shard(number), last, &entries).await.unwrap();
        assert_eq!(appended, Appended::Added);
        last = entries.last().unwrap().id;
    }
}

/// Reads a shard to its end, waiting for each next part.
async fn read_all(log: &Transport, number: u16) {
    let limit = ReadLimit {
        count: 50,
        bytes: usize::MAX,
    };
    let mut after = EntryId::ZERO;
    while after < LAST {
        let read = log
            .read(&shard(number), after, limit, Duration::from_secs(30))
            .await
            .unwrap();
        assert!(!read.is_empty(), "nothing came after {after}");
        assert_eq!(read, entries(after.low + 1..=after.low + read.len() as u64));
        after = read.last().unwrap().id;
    }
}

fn spawn(path: &Path, number: u16) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sqlite::process::child"])
        .env(FILE, path)
        .env(SHARD, number.to_string())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// The child of the tests beside it; alone it does nothing.
#[tokio::test]
async fn child() {
    let (Some(path), Some(number)) = (std::env::var_os(FILE), std::env::var_os(SHARD)) else {
        return;
    };
    let number = number.to_str().unwrap();
    let log = Transport::connect(Options::file(path)).await.unwrap();
    append_all(&log, number.parse().unwrap()).await;
}

/// Four processes make the file together and append at once, while this one reads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_share_a_file() {
    let place = File::make().await;
    let children: Vec<_> = (0..4).map(|number| spawn(&place.path(), number)).collect();
    let log = place.connect().await;
    tokio::join!(
        read_all(&log, 0),
        read_all(&log, 1),
        read_all(&log, 2),
        read_all(&log, 3)
    );
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    for number in 0..4 {
        assert_eq!(
            log.describe(&shard(number)).await.unwrap().length,
            BATCHES * BATCH
        );
    }
}

/// The same within one process, with a connection each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handles_share_a_file() {
    let place = std::sync::Arc::new(File::make().await);
    let mut tasks = Vec::new();
    for number in 0..4 {
        let place = std::sync::Arc::clone(&place);
        tasks.push(tokio::spawn(async move {
            append_all(&place.connect().await, number).await
        }));
    }
    let log = place.connect().await;
    tokio::join!(
        read_all(&log, 0),
        read_all(&log, 1),
        read_all(&log, 2),
        read_all(&log, 3)
    );
    for task in tasks {
        task.await.unwrap();
    }
}
