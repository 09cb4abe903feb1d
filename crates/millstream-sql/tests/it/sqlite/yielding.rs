//! The application writes while we apply one batch after another.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::{set, things};

/// How long we apply without a pause: longer than a writer may have to wait for a rest of ours.
const SERIES: Duration = Duration::from_secs(3);

/// A rest comes after a second of work, and whoever waits looks every 100 ms; a busy machine adds
/// to that. Without rests a writer waits as long as the series lasts.
const WAIT_MAX: Duration = Duration::from_millis(2_500);

/// It never fails within its five seconds, and gets its turn after a second at most.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_program_gets_its_turn() {
    const THINGS: &str = "CREATE TABLE things (id TEXT PRIMARY KEY, a TEXT, b TEXT);
                          CREATE TABLE others (x INTEGER)";
    let (site, mut source, mut consumer) = things(THINGS).await;
    let done = AtomicBool::new(false);
    let mut waits = Vec::new();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let db = site.open();
            db.busy_timeout(Duration::from_secs(5)).unwrap();
            let mut waits = Vec::new();
            while !done.load(Ordering::SeqCst) {
                let begun = Instant::now();
                db.execute("INSERT INTO others VALUES (1)", []).unwrap();
                waits.push(begun.elapsed());
            }
            waits
        });
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                let begun = Instant::now();
                while begun.elapsed() < SERIES {
                    let events: Vec<_> = (0..50).map(|n| set(&n.to_string(), "{}")).collect();
                    let entries = source.send_all(&events);
                    assert_eq!(consumer.settle(&entries).await, "50 applied");
                }
                done.store(true, Ordering::SeqCst);
            });
        });
        waits = other.join().unwrap();
    });
    let longest = waits.iter().max().unwrap();
    assert!(*longest < WAIT_MAX, "one write waited for {longest:?}");
}
