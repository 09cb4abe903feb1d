//! Sixteen writers at once, some of whom take back what they wrote, and one that holds its transaction
//! open: no event is lost, and the events of a key keep their order.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use millstream_core::clock::Timestamp;
use millstream_core::entry::{EntryId, Shard};
use millstream_core::lease::{Feed, Lease, Leases, Role};
use millstream_core::outbox::Outbox;
use millstream_sql::postgres::Database;
use millstream_testkit::suite::Site as _;
use millstream_testkit::{app, instance, stream};

use super::Site;

const WRITERS: u64 = 16;
const TRANSACTIONS: u64 = 60;
const KEYS: u64 = 9;
const SHARDS: u16 = 3;

/// The writer that holds its transaction open.
const HOLDER: u64 = 99;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_each_key_keeps_its_order() {
    let site = Arc::new(Site::make("").await);
    let held = site.open().await;
    held.batch_execute(&format!("BEGIN; {}", insert(0, HOLDER, 1)))
        .await
        .unwrap();

    let committed = Arc::new(AtomicU64::new(0));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| tokio::spawn(write(site.clone(), writer, committed.clone())))
        .collect();

    let relay = site.connect().await;
    let mut tops = tops(&relay).await;
    let mut numbered = 0;
    let mut holds = true;
    while !writers.iter().all(tokio::task::JoinHandle::is_finished) {
        numbered += number(&relay, &mut tops).await;
        // Others wait for its key, most of them by now.
        if holds && numbered > WRITERS {
            held.batch_execute("COMMIT").await.unwrap();
            holds = false;
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert!(!holds, "the writers did not wait for the one that held on");
    loop {
        match number(&relay, &mut tops).await {
            0 => break,
            more => numbered += more,
        }
    }
    assert_eq!(numbered, committed.load(Ordering::SeqCst) + 1);
    check_order(&relay).await;
}

/// Inserts up to three events a transaction, in the order of their keys, and commits three in four.
async fn write(site: Arc<Site>, writer: u64, committed: Arc<AtomicU64>) {
    let client = site.open().await;
    let mut random = writer + 1;
    let mut below = |limit: u64| {
        // Knuth's MMIX; the high bits are the good ones.
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % limit
    };
    for n in 1..=TRANSACTIONS {
        let mut keys: Vec<u64> = (0..=below(3)).map(|_| below(KEYS)).collect();
        keys.sort_unstable();
        let events: String = keys.iter().map(|&key| insert(key, writer, n)).collect();
        let end = if below(4) == 0 { "ROLLBACK" } else { "COMMIT" };
        client
            .batch_execute(&format!("BEGIN; {events} {end}"))
            .await
            .unwrap();
        if end == "COMMIT" {
            committed.fetch_add(keys.len() as u64, Ordering::SeqCst);
        }
    }
}

pub(super) fn insert(key: u64, writer: u64, n: u64) -> String {
    format!(
        "INSERT INTO outbox (event_type, tenant_id, entity_id, event_data)
         VALUES ('user.updated', 'acme', '{key}', '{{\"w\":{writer},\"n\":{n}}}');"
    )
}

pub(super) async fn number(relay: &Database, tops: &mut [Lease]) -> u64 {
    let now = Timestamp::from_millis(0);
    let rows = relay.number(tops, 50, now).await.unwrap();
    for lease in tops {
        lease.checkpoint = relay.checkpoint(lease).await.unwrap().expect("it is held");
    }
    rows.len() as u64
}

pub(super) async fn tops(relay: &Database) -> Vec<Lease> {
    let feeds: Vec<_> = (0..SHARDS).map(|n| Feed::Owned(shard(n))).collect();
    relay.register(Role::Relay, &feeds).await.unwrap();
    let rows = relay.leases(Role::Relay).await.unwrap();
    let taken = relay.acquire(&instance("relay"), Role::Relay, &rows).await;
    taken.unwrap().expect("nobody was faster")
}

fn shard(number: u16) -> Shard {
    Shard {
        stream: stream("events"),
        owner: app("hr"),
        number,
    }
}

/// Seqs are dense; versions rise with them, and what a writer wrote comes in the order in which it was
/// written.
async fn check_order(relay: &Database) {
    let mut versions: HashMap<String, u64> = HashMap::new();
    let mut last: HashMap<(String, u64), u64> = HashMap::new();
    for number in 0..SHARDS {
        let rows = relay
            .numbered(&shard(number), EntryId::ZERO, usize::MAX)
            .await
            .unwrap();
        for (seq, row) in (1..).zip(rows) {
            assert_eq!(row.at.low, seq);
            let key = String::from_utf8(row.partition_key.to_vec()).unwrap();
            let version = versions
                .insert(key.clone(), row.entity_version)
                .unwrap_or(0);
            assert!(
                version < row.entity_version,
                "key {key}: {version}, then {}",
                row.entity_version
            );
            let data = String::from_utf8(row.data.to_vec()).unwrap();
            let numbers: Vec<u64> = data
                .split(|c: char| !c.is_ascii_digit())
                .filter_map(|number| number.parse().ok())
                .collect();
            let before = last.insert((key, numbers[0]), numbers[1]).unwrap_or(0);
            assert!(before <= numbers[1], "{data} after {before}");
        }
    }
}
