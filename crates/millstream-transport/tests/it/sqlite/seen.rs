//! How long consumers have been idle, by a clock of the test's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use millstream_core::clock::{Clock, Timestamp};
use millstream_core::entry::EntryId;
use millstream_core::log::ReadLimit;
use millstream_core::queue::{Member, Queue};
use millstream_testkit::suite::Place;
use millstream_testkit::{app, fields, instance, stream};
use millstream_transport::sqlite::Transport;

use super::File;

const ALL: ReadLimit = ReadLimit {
    count: 100,
    bytes: usize::MAX,
};

#[derive(Debug, Default)]
struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

struct Bench {
    place: File,
    hand: Arc<Hand>,
    queue: Transport,
    one: Member,
}

impl Bench {
    async fn make() -> Self {
        let place = File::make().await;
        let hand = Arc::new(Hand::default());
        let options = place
            .options()
            .clock(hand.clone())
            .busy_timeout(Duration::ZERO);
        let queue = Transport::connect(options).await.unwrap();
        queue.add(&stream("s"), &fields(1)).await.unwrap();
        let one = Member {
            group: app("hr"),
            consumer: instance("1"),
        };
        let bench = Self {
            place,
            hand,
            queue,
            one,
        };
        assert_eq!(bench.take().await, 1);
        bench
    }

    async fn take(&self) -> usize {
        let taken = self
            .queue
            .read_group(&stream("s"), &self.one, ALL, Duration::ZERO)
            .await;
        taken.unwrap().len()
    }

    async fn idle(&self) -> u128 {
        let consumers = self.queue.consumers(&stream("s"), &app("hr")).await;
        consumers.unwrap()[0].idle.as_millis()
    }

    fn at(&self, milliseconds: i64) {
        self.hand.0.store(milliseconds, Ordering::SeqCst);
    }
}

/// A read that brings nothing is a sign of life too, and so are claims and histories.
#[tokio::test]
async fn whoever_asks_is_not_idle() {
    let bench = Bench::make().await;
    bench.at(60_000);
    assert_eq!(bench.idle().await, 60_000);
    assert_eq!(bench.take().await, 0);
    assert_eq!(bench.idle().await, 0);
    bench.at(120_000);
    let (events, one) = (stream("s"), &bench.one);
    bench
        .queue
        .claim(&events, one, Duration::from_secs(3_600), EntryId::ZERO, ALL)
        .await
        .unwrap();
    assert_eq!(bench.idle().await, 0);
    bench.at(180_000);
    let history = bench.queue.history(&events, one, EntryId::ZERO, ALL).await;
    assert_eq!(history.unwrap().entries.len(), 1);
    assert_eq!(bench.idle().await, 0);
    // What it holds is as old as it was: a history hands nothing out.
    let pending = bench.queue.pending(&events, &one.group, EntryId::ZERO, 10);
    let pending = pending.await.unwrap();
    assert_eq!(pending[0].idle, Duration::from_secs(180));
    assert_eq!(pending[0].delivery_count, 1);
}

/// After a clock went back nobody is idle for a negative time, nor seen in the future for ever.
#[tokio::test]
async fn a_clock_may_go_back() {
    let bench = Bench::make().await;
    bench.at(60_000);
    bench.take().await;
    bench.at(1_000);
    assert_eq!(bench.idle().await, 0);
    bench.take().await;
    bench.at(5_000);
    assert_eq!(bench.idle().await, 4_000);
}

/// A member that has been handed everything needs no lock to ask again.
#[tokio::test]
async fn idle_members_leave_the_lock_to_others() {
    let bench = Bench::make().await;
    bench.at(900);
    let db = rusqlite::Connection::open(bench.place.path()).unwrap();
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(bench.take().await, 0);
    db.execute_batch("ROLLBACK").unwrap();
    assert_eq!(bench.idle().await, 900);
}
