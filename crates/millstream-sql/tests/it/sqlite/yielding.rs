//! The application writes while we apply one batch after another.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::{set, things};

/// How long we apply without a pause of our own.
const SERIES: Duration = Duration::from_secs(6);

/// A rest comes after a second of work, and whoever waits looks every 100 ms; a busy machine adds
/// to that. Without rests a writer may wait as long as the series lasts.
const WAIT_MAX: Duration = Duration::from_secs(3);

/// Each row takes a good while, nearly all of it under the lock: gaps alone would hardly ever be met.
const SLOW: &str = "
    CREATE TABLE things (id TEXT PRIMARY KEY, a TEXT, b TEXT);
    CREATE TABLE others (x INTEGER);
    CREATE TABLE sums (n INTEGER);
    CREATE TRIGGER slow AFTER INSERT ON things BEGIN
      INSERT INTO sums SELECT count(*) FROM numbers, numbers AS t, hundred;
    END;
    CREATE TABLE numbers (n INTEGER);
    CREATE TABLE hundred (n INTEGER);
    WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 150)
      INSERT INTO numbers SELECT n FROM c;
    INSERT INTO hundred SELECT n FROM numbers WHERE n <= 100;";

/// Writes a row again and again, and returns the longest time that one took.
fn write_until(done: &AtomicBool, db: &Connection) -> Duration {
    let mut longest = Duration::ZERO;
    while !done.load(Ordering::SeqCst) {
        let begun = Instant::now();
        db.execute("INSERT INTO others VALUES (1)", []).unwrap();
        longest = longest.max(begun.elapsed());
    }
    longest
}

/// It never fails within its five seconds, and gets its turn after a second or so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_program_gets_its_turn() {
    let (site, mut source, mut consumer) = things(SLOW).await;
    let done = Arc::new(AtomicBool::new(false));
    let other = tokio::task::spawn_blocking({
        let (done, db) = (Arc::clone(&done), site.open());
        move || {
            db.busy_timeout(Duration::from_secs(5)).unwrap();
            write_until(&done, &db)
        }
    });
    let begun = Instant::now();
    for number in 0.. {
        if begun.elapsed() >= SERIES {
            break;
        }
        let entries = [source.send(&set(&number.to_string(), "{}"))];
        assert_eq!(consumer.settle(&entries).await, "1 applied");
    }
    done.store(true, Ordering::SeqCst);
    let longest = other.await.unwrap();
    assert!(longest < WAIT_MAX, "one write waited for {longest:?}");
}
