//! Where the search for unsent events begins: above all that is numbered, and below all that may come.

use std::time::{Duration, Instant};

use millstream_core::clock::Timestamp;
use millstream_core::entry::{EntryId, Shard};
use millstream_core::lease::{Feed, Lease, Leases as _, Role};
use millstream_core::outbox::Outbox as _;
use millstream_sql::postgres::Database;
use millstream_testkit::suite::Site as _;
use millstream_testkit::{app, instance, stream};

use super::Site;

/// A bound is looked for each second, and found by the look after.
const BOUND_FOUND: Duration = Duration::from_millis(2_300);

/// Longer than what lies between two looks for a bound.
pub(super) const BETWEEN: Duration = Duration::from_millis(1_100);

struct Relay {
    database: Database,
    tops: Vec<Lease>,
}

impl Relay {
    async fn start(site: &Site) -> Self {
        let database = site.connect().await;
        let shard = Shard {
            stream: stream("events"),
            owner: app("hr"),
            number: 0,
        };
        let feeds = [Feed::Owned(shard)];
        database.register(Role::Relay, &feeds).await.unwrap();
        let rows = database.leases(Role::Relay).await.unwrap();
        let relay = instance("relay");
        let taken = database.acquire(&relay, Role::Relay, &rows).await;
        let tops = taken.unwrap().unwrap();
        Self { database, tops }
    }

    /// The entities of what it finds.
    async fn number(&mut self) -> Vec<String> {
        let now = Timestamp::from_millis(0);
        let rows = self.database.number(&self.tops, 50, now).await.unwrap();
        let top = self.database.checkpoint(&self.tops[0]).await.unwrap();
        self.tops[0].checkpoint = top.unwrap();
        let entity = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        rows.iter().map(|row| entity(&row.entity)).collect()
    }

    /// Looks again and again, until a bound must have been found if there is one.
    async fn look(&mut self) -> Vec<String> {
        let mut found = Vec::new();
        let begun = Instant::now();
        while begun.elapsed() < BOUND_FOUND {
            found.extend(self.number().await);
            // The time is that of the look, which nothing but time ends.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        found
    }
}

fn insert(entity: &str) -> String {
    format!(
        "INSERT INTO outbox (event_type, tenant_id, entity_id, event_data)
         VALUES ('user.updated', 'acme', '{entity}', '{{}}')"
    )
}

/// Behind a reader of an old snapshot, each search would go over all that was ever numbered.
#[tokio::test]
async fn a_long_reader_does_not_slow_the_search() {
    const ROWS: usize = 2_000;
    const LOOKS: usize = 1_000;
    let site = Site::make("").await;
    let mut relay = Relay::start(&site).await;
    let reader = site.open().await;
    reader
        .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM outbox")
        .await
        .unwrap();
    let many = format!(
        "INSERT INTO outbox (event_type, tenant_id, entity_id, event_data)
         SELECT 'user.updated', 'acme', n, '{{}}' FROM generate_series(1, {ROWS}) AS n"
    );
    site.execute(&many).await.unwrap();
    let mut found = 0;
    while found < ROWS {
        found += relay.number().await.len();
    }
    tokio::time::sleep(BETWEEN).await;
    site.execute(&insert("last")).await.unwrap();
    assert_eq!(relay.look().await, ["last"]);
    for _ in 0..LOOKS {
        relay.database.wait(&stream("events"), Duration::ZERO).await;
    }

    // A session tells what it has read when it ends.
    drop(relay);
    let ours = "SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND application_name = 'millstream'";
    while site.rows(ours).await != ["0"] {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let read = "SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'outbox_unsent'";
    let read: usize = site.rows(read).await[0].parse().unwrap();
    assert!(
        read < ROWS * LOOKS / 4,
        "{read} entries of the index were read"
    );
}

/// A transaction that drew its id long ago commits when all later ones are sent and somebody reads an
/// old snapshot: its rows are found, and so are those of one that began meanwhile.
#[tokio::test]
async fn rows_that_are_committed_late_are_found() {
    let site = Site::make("").await;
    let mut relay = Relay::start(&site).await;
    let reader = site.open().await;
    reader
        .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM outbox")
        .await
        .unwrap();
    let late = site.open().await;
    late.batch_execute(&format!(
        "BEGIN; {}; {}",
        insert("late 1"),
        insert("late 2")
    ))
    .await
    .unwrap();
    for n in 0..5 {
        site.execute(&insert(&n.to_string())).await.unwrap();
    }
    assert_eq!(relay.look().await, ["0", "1", "2", "3", "4"]);

    // It has no id yet; by now the bound is above that of `late`, if it ever will be.
    let later = site.open().await;
    later
        .batch_execute("BEGIN; SELECT pg_current_xact_id()")
        .await
        .unwrap();
    late.batch_execute("COMMIT").await.unwrap();
    assert_eq!(relay.number().await, ["late 1", "late 2"]);
    site.execute(&insert("5")).await.unwrap();
    assert_eq!(relay.look().await, ["5"]);
    later
        .batch_execute(&format!("{}; COMMIT", insert("later")))
        .await
        .unwrap();
    assert_eq!(relay.number().await, ["later"]);

    let seen = reader.query_one("SELECT count(*) FROM outbox", &[]).await;
    assert_eq!(
        seen.unwrap().get::<_, i64>(0),
        0,
        "it reads as of its begin"
    );
    let ids = "SELECT string_agg(entity_id, ',' ORDER BY seq) FROM outbox WHERE seq IS NOT NULL";
    assert_eq!(
        site.rows(ids).await,
        ["0,1,2,3,4,late 1,late 2,5,later"],
        "each once, in the order in which they were found"
    );
}

/// No transaction that began later has ended: the one that is open is just above all that a snapshot knows
/// to have completed.
#[tokio::test]
async fn the_last_transaction_that_began_is_waited_for() {
    let site = Site::make("").await;
    let mut relay = Relay::start(&site).await;
    assert_eq!(relay.number().await, [""; 0]);
    tokio::time::sleep(BETWEEN).await;
    site.execute(&insert("first")).await.unwrap();
    let late = site.open().await;
    late.batch_execute(&format!("BEGIN; {}", insert("late 1")))
        .await
        .unwrap();
    assert_eq!(relay.number().await, ["first"]);
    for _ in 0..2 {
        tokio::time::sleep(BETWEEN).await;
        assert_eq!(relay.number().await, [""; 0]);
    }
    late.batch_execute(&format!("{}; COMMIT", insert("late 2")))
        .await
        .unwrap();
    assert_eq!(relay.number().await, ["late 1", "late 2"]);
}

/// What gets a stream, or loses its number, is below the bound: the search begins anew.
#[tokio::test]
async fn what_is_given_to_the_stream_later_is_found() {
    let site = Site::make("").await;
    let mut relay = Relay::start(&site).await;
    site.execute("DELETE FROM millstream_meta WHERE name = 'stream'")
        .await
        .unwrap();
    site.execute(&insert("has none")).await.unwrap();
    let first = [super::set("first", "{}")];
    let outbox = &relay.database;
    outbox.insert(&stream("events"), &first).await.unwrap();
    assert_eq!(relay.look().await, ["first"]);
    relay.database.adopt(&stream("events")).await.unwrap();
    assert_eq!(relay.number().await, ["has none"]);

    assert_eq!(relay.look().await, [""; 0]);
    let settled = [EntryId::ZERO];
    let begun = relay.database.begin_generation(&relay.tops, &settled, 0);
    relay.tops[0].checkpoint = begun.await.unwrap().remove(0);
    assert_eq!(relay.number().await, ["has none", "first"]);
}

/// One of a full batch goes away before it is locked: what is behind the batch is unsent all the same.
#[tokio::test]
async fn a_batch_that_shrinks_says_nothing_of_what_is_behind_it() {
    let site = Site::make("").await;
    let mut relay = Relay::start(&site).await;
    site.execute(&insert("first")).await.unwrap();
    assert_eq!(relay.number().await, ["first"]);
    tokio::time::sleep(BETWEEN).await;
    let many = "INSERT INTO outbox (event_type, tenant_id, entity_id, event_data)
                SELECT 'user.updated', 'acme', n, '{}' FROM generate_series(1, 150) AS n";
    site.execute(many).await.unwrap();
    // It draws a candidate, which is above all of them.
    assert_eq!(relay.number().await.len(), 50);
    tokio::time::sleep(BETWEEN).await;

    let application = site.open().await;
    application
        .batch_execute("BEGIN; DELETE FROM outbox WHERE entity_id = '70'")
        .await
        .unwrap();
    let (found, _) = tokio::join!(relay.number(), async {
        site.one_waits().await;
        application.batch_execute("COMMIT").await.unwrap();
    });
    assert_eq!(found.len(), 49);
    assert_eq!(relay.number().await.len(), 50);
}

/// A row that only refers to an event locks its key, and nothing that numbering needs.
#[tokio::test]
async fn rows_that_refer_to_an_event_hold_nothing_up() {
    let site = Site::make("").await;
    let mut relay = Relay::start(&site).await;
    site.execute(&insert("first")).await.unwrap();
    site.execute("CREATE TABLE mails (event_id text REFERENCES outbox (event_id))")
        .await
        .unwrap();
    let application = site.open().await;
    application
        .batch_execute("BEGIN; INSERT INTO mails SELECT event_id FROM outbox")
        .await
        .unwrap();
    assert_eq!(relay.number().await, ["first"]);
    application.batch_execute("COMMIT").await.unwrap();
}
