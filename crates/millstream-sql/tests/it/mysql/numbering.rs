//! Numbers for what many applications write at once.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use millstream_core::clock::Timestamp;
use millstream_core::entry::{EntryId, Shard};
use millstream_core::lease::{Feed, Lease, Leases as _, Role};
use millstream_core::outbox::{Outbox as _, OutboxRow};
use millstream_sql::mysql::Database as Handle;
use millstream_testkit::suite::Site as _;
use millstream_testkit::{app, instance, stream};
use mysql_async::Conn;
use mysql_async::prelude::Queryable as _;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::Database;
use super::site::is_mysql;

const SHARDS: u16 = 3;
const WRITERS: usize = 16;
const TRANSACTIONS: usize = 30;
const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// How a writer's sessions are.
const SESSIONS: [&str; 3] = [
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ; \
     SET SESSION innodb_snapshot_isolation = ON",
];

/// Sixteen writers, statements of several rows, keys that all of them write and new ones, rollbacks, and
/// a transaction that stays open: every event that was committed gets one number, each key in the order
/// of its versions, and what a writer wrote of a key in the order in which it did.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_event_is_lost_and_no_key_out_of_order() {
    let site = Arc::new(Database::make("").await);
    let relay = site.connect().await;
    let mut held = take(&relay).await;

    let mut open = site.open().await;
    let early = format!(
        "START TRANSACTION; {}",
        insert(&[("open", "o-1", 1), ("late", "o-2", 2)])
    );
    open.query_drop(early).await.unwrap();

    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let site = Arc::clone(&site);
            tokio::spawn(async move {
                let mut conn = site.open().await;
                // The last one is of MariaDB alone.
                let sessions = &SESSIONS[..SESSIONS.len() - usize::from(is_mysql())];
                conn.query_drop(sessions[writer % sessions.len()])
                    .await
                    .unwrap();
                write(&mut conn, writer).await
            })
        })
        .collect();

    let mut sent = Vec::new();
    while !writers.iter().all(tokio::task::JoinHandle::is_finished) {
        sent.extend(number(&relay, &mut held, 50).await);
    }
    let mut committed = Vec::new();
    for writer in writers {
        committed.extend(writer.await.unwrap());
    }
    sent.extend(number(&relay, &mut held, usize::MAX).await);
    assert_eq!(relay.unsent(&stream("events")).await.unwrap(), 0);
    assert_eq!(
        sent.len(),
        committed.len(),
        "nothing waits for the open transaction"
    );

    open.query_drop("COMMIT").await.unwrap();
    committed.extend(["o-1".to_owned(), "o-2".to_owned()]);
    sent.extend(number(&relay, &mut held, usize::MAX).await);
    check(&sent, committed);
}

/// A row that goes to another stream while the relay waits for it is none of this one's any more.
#[tokio::test]
async fn a_row_that_changes_its_stream_is_left_to_that_one() {
    let site = Database::make("").await;
    let relay = site.connect().await;
    let mut held = take(&relay).await;
    let mut conn = site.open().await;
    conn.query_drop(insert(&[("a", "a-1", 1), ("b", "b-1", 1), ("c", "c-1", 1)]))
        .await
        .unwrap();
    conn.query_drop("START TRANSACTION; UPDATE outbox SET stream = 'other' WHERE event_id = 'b-1'")
        .await
        .unwrap();
    let (sent, ()) = tokio::join!(number(&relay, &mut held, 50), async {
        site.one_waits().await;
        conn.query_drop("COMMIT").await.unwrap();
    });
    assert_eq!(sent.len(), 2);
    let left = "SELECT event_id, stream FROM outbox WHERE seq IS NULL";
    assert_eq!(site.rows(left).await, ["b-1|other"]);
}

/// The later version of a key has the lower id, by a statement of several rows that drew both ids and
/// then waited for the key.
#[tokio::test]
async fn a_version_that_was_drawn_later_with_a_lower_id_comes_later() {
    let site = Database::make("").await;
    let relay = site.connect().await;
    let mut held = take(&relay).await;
    let (mut first, mut second) = (site.open().await, site.open().await);
    first
        .query_drop(format!(
            "START TRANSACTION; {}",
            insert(&[("gate", "g", 1)])
        ))
        .await
        .unwrap();
    // Draws ids for all of its rows, and waits at the gate after the first.
    let rows = [("free", "s-1", 1), ("gate", "s-2", 1), ("shared", "s-3", 2)];
    let sql = insert(&rows);
    let waiting = tokio::spawn(async move { second.query_drop(sql).await });
    site.one_waits().await;
    first
        .query_drop(insert(&[("shared", "f", 1)]))
        .await
        .unwrap();
    first.query_drop("COMMIT").await.unwrap();
    waiting.await.unwrap().unwrap();

    let order = "SELECT event_id FROM outbox WHERE entity_id = 'shared' ORDER BY id";
    assert_eq!(
        site.rows(order).await,
        ["s-3", "f"],
        "ids are against the versions"
    );
    // Also where the one with the higher id would not fit any more.
    let mut sent = number(&relay, &mut held, 3).await;
    sent.extend(number(&relay, &mut held, 3).await);
    let committed = ["g", "f", "s-1", "s-2", "s-3"].map(Into::into);
    check(&sent, committed.into());
}

/// Writes transactions, each until it is committed or meant to be rolled back, and says which events are
/// there.
async fn write(conn: &mut Conn, writer: usize) -> Vec<String> {
    let mut random = StdRng::seed_from_u64(writer as u64);
    let mut committed = Vec::new();
    for n in 0..TRANSACTIONS {
        let shared = || ["k0", "k1", "k2", "k3", "k4"];
        let keys = [
            shared()[random.random_range(0..5)].to_owned(),
            format!("new-{writer}-{n}"),
            shared()[random.random_range(0..5)].to_owned(),
            format!("also-{writer}-{n}"),
        ];
        let ids: Vec<_> = (0..keys.len())
            .map(|row| format!("{writer}-{n}-{row}"))
            .collect();
        let rows: Vec<_> = keys
            .iter()
            .zip(&ids)
            .enumerate()
            .map(|(row, (key, id))| (key.as_str(), id.as_str(), 10 * n + row))
            .collect();
        let commits = random.random_bool(0.7);
        while let Err(error) = transaction(conn, &rows, commits).await {
            let mysql_async::Error::Server(error) = &error else {
                panic!("{error}");
            };
            // A deadlock, or a key that changed since the snapshot: done again, as applications must.
            assert!([1020, 1205, 1213].contains(&error.code), "{error}");
            conn.query_drop("ROLLBACK").await.unwrap();
        }
        if commits {
            committed.extend(ids);
        }
    }
    committed
}

async fn transaction(
    conn: &mut Conn,
    rows: &[(&str, &str, usize)],
    commits: bool,
) -> Result<(), mysql_async::Error> {
    conn.query_drop("SET SESSION innodb_lock_wait_timeout = 2; START TRANSACTION")
        .await?;
    // A snapshot, where there is one for the transaction.
    conn.query_drop("SELECT count(*) FROM millstream_keys")
        .await?;
    conn.query_drop(insert(rows)).await?;
    conn.query_drop(if commits { "COMMIT" } else { "ROLLBACK" })
        .await
}

fn insert(rows: &[(&str, &str, usize)]) -> String {
    let values: Vec<_> = rows
        .iter()
        .map(|(key, id, n)| {
            let writer = id.split('-').next().unwrap();
            format!(
                "('{id}', 'x', 'acme', '{key}', '{{\"w\":\"{writer}\",\"n\":{}}}')",
                10_000 + n
            )
        })
        .collect();
    format!(
        "INSERT INTO outbox (event_id, event_type, tenant_id, entity_id, event_data) VALUES {}",
        values.join(", ")
    )
}

fn check(sent: &[OutboxRow], mut committed: Vec<String>) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut ids: Vec<_> = sent.iter().map(|row| text(&row.event_id)).collect();
    ids.sort();
    committed.sort();
    assert_eq!(
        ids, committed,
        "each event that was committed has one number"
    );

    let mut seqs: BTreeMap<u16, Vec<u64>> = BTreeMap::new();
    let mut versions: HashMap<String, u64> = HashMap::new();
    let mut last: HashMap<(String, String), String> = HashMap::new();
    for row in sent {
        seqs.entry(row.shard).or_default().push(row.at.low);
        let key = text(&row.partition_key);
        let version = versions.entry(key.clone()).or_default();
        *version += 1;
        assert_eq!(
            row.entity_version, *version,
            "{key}: in the order of its versions"
        );
        let data = text(&row.data);
        let (writer, n) = data.split_once(',').unwrap();
        let before = last.insert((key, writer.into()), n.into());
        assert!(before.is_none_or(|before| *before < *n), "{data}");
    }
    for seqs in seqs.values() {
        let dense: Vec<_> = (1..=seqs.len() as u64).collect();
        assert_eq!(*seqs, dense);
    }
}

async fn take(relay: &Handle) -> Vec<Lease> {
    let shard = |number| Shard {
        stream: stream("events"),
        owner: app("hr"),
        number,
    };
    let feeds: Vec<_> = (0..SHARDS).map(shard).map(Feed::Owned).collect();
    relay.register(Role::Relay, &feeds).await.unwrap();
    let rows = relay.leases(Role::Relay).await.unwrap();
    let taken = relay.acquire(&instance("relay"), Role::Relay, &rows).await;
    taken.unwrap().expect("nobody was faster")
}

async fn number(relay: &Handle, held: &mut [Lease], limit: usize) -> Vec<OutboxRow> {
    let rows = relay.number(held, limit, NOW).await.unwrap();
    for row in &rows {
        let checkpoint = &mut held[usize::from(row.shard)].checkpoint;
        checkpoint.at = EntryId::new(row.at.high, row.at.low);
        let id = std::str::from_utf8(&row.event_id).unwrap();
        checkpoint.event_id = millstream_core::name::EventId::new(id).ok();
    }
    rows
}
