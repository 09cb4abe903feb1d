//! What is asked often costs no more in a large database than in a small one.

use std::sync::{Arc, Mutex};

use rusqlite::StatementStatus;
use rusqlite::trace::{TraceEvent, TraceEventCodes};

use millstream_core::clock::Timestamp;
use millstream_core::entry::{EntryId, Shard};
use millstream_core::lease::{Feed, Lease, Leases, Role};
use millstream_core::outbox::{Outbox, Progress, Registered};
use millstream_core::store::Store;
use millstream_sql::sqlite::Database;
use millstream_testkit::suite::Site;
use millstream_testkit::{app, database, instance, stream};

use super::File;

/// Rows of the outbox, as many of the inbox, of which a tenth is parked.
const ROWS: usize = 5_000;

/// Steps of SQLite's machine: to go through the rows takes several for each of them.
const STEPS_MAX: i32 = 3_000;

const FILL: &str = r"
    INSERT INTO outbox (event_id, event_type, tenant_id, entity_id, event_data)
      WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 5000)
      SELECT 'out-' || n, 'user.updated', 'acme', '7', '{}' FROM c;
    INSERT INTO millstream_shards (role, stream, source, shard)
      VALUES ('consumer', 'events', 'crm', 0);
    INSERT INTO millstream_inbox
        (shard, generation, seq, twin, event_id, event_type, tenant_id, entity_id, outcome,
         received_at, applied_at)
      SELECT s.id, 1, o.id, 0, 'in-' || o.id, 'user.updated', 'acme', '7',
             CASE WHEN o.id % 1000 = 0 THEN 'dead' WHEN o.id % 10 = 1 THEN 'blocked'
                  ELSE 'applied' END, 0, 0
      FROM outbox o JOIN millstream_shards s WHERE s.role = 'consumer';
    INSERT INTO dead_letters
        (shard, generation, seq, twin, event_id, outcome, reason, attempts, raw, parked_at)
      SELECT shard, generation, seq, twin, event_id, outcome, 'no', 1, x'', 0
      FROM millstream_inbox WHERE outcome <> 'applied';";

fn shard() -> Shard {
    Shard {
        stream: stream("events"),
        owner: app("hr"),
        number: 0,
    }
}

/// Everything is numbered, and two subscribers have settled all but the last thousand, with five
/// exceptions each.
async fn filled() -> (File, Lease) {
    let site = File::make("").await;
    let outbox = site.connect().await;
    let feeds = [Feed::Owned(shard())];
    outbox.register(Role::Relay, &feeds).await.unwrap();
    let rows = outbox.leases(Role::Relay).await.unwrap();
    let acquired = outbox.acquire(&instance("relay"), Role::Relay, &rows).await;
    let mut held = acquired.unwrap().unwrap();
    site.execute(FILL).await.unwrap();
    let now = Timestamp::from_millis(1);
    let numbered = outbox.number(&held, usize::MAX, now).await.unwrap();
    assert_eq!(numbered.len(), ROWS);
    let top = held.remove(0);
    let checkpoint = outbox.checkpoint(&top).await.unwrap().unwrap();
    let top = Lease { checkpoint, ..top };
    for name in ["crm", "pay"] {
        let held = std::slice::from_ref(&top);
        outbox.subscribe(held, &follower(name)).await.unwrap();
    }
    (site, top)
}

fn follower(name: &str) -> Registered {
    let mut progress = Progress::default();
    progress.settled.at = EntryId::new(1, 4_000);
    progress.exceptions = (1..=5)
        .map(|n| millstream_core::acknowledgment::Exception {
            at: EntryId::new(1, n * 700),
            outcome: millstream_core::delivery::Outcome::Dead,
            attempts: 1,
            reason: "no".into(),
        })
        .collect();
    Registered {
        application: app(name),
        database: database(name),
        shards: vec![progress],
    }
}

#[tokio::test]
async fn failed_events_and_single_ones_are_found_without_reading_the_rest() {
    let (site, _) = filled().await;
    let db = site.open();
    for (condition, expected, steps_max) in [
        ("event_id = 'out-700'", 2, 1_000),
        ("event_id = 'out-701'", 2, 1_000),
        ("event_id = 'out-4500'", 2, 1_000),
        ("event_id = 'in-700'", 1, 1_000),
        ("event_id = 'in-701'", 1, 1_000),
        ("event_id = 'in-1000'", 1, 1_000),
        ("event_id = 'none'", 0, 1_000),
        // What is parked is gone through.
        ("status = 'failed'", 15, 5_000),
    ] {
        let sql = format!("SELECT * FROM event_tracking WHERE {condition}");
        let mut query = db.prepare(&sql).unwrap();
        let mut rows = query.query([]).unwrap();
        let mut found = 0;
        while rows.next().unwrap().is_some() {
            found += 1;
        }
        drop(rows);
        assert_eq!(found, expected, "{condition}");
        let steps = query.get_status(StatementStatus::VmStep);
        assert!(steps < steps_max, "{condition}: {steps} steps");
    }
}

/// By way of the index, and from where the receipts end: what is settled already is not read.
#[tokio::test]
async fn pending_events_are_looked_for_above_the_receipts() {
    let site = File::make("").await;
    let plan = "EXPLAIN QUERY PLAN SELECT * FROM event_tracking WHERE status = 'pending'";
    let plan = site.rows(plan).await;
    let above = "SEARCH o USING INDEX outbox_sent \
                 (stream=? AND shard=? AND (generation,seq)>(?,?))";
    assert!(plan.iter().any(|step| step.ends_with(above)), "{plan:#?}");
    let loose = "(stream=? AND shard=? AND generation>?";
    assert!(!plan.iter().any(|step| step.contains(loose)), "{plan:#?}");
}

/// Statements, and the steps that each took, all its runs together.
type Counts = Arc<Mutex<Vec<(String, i32)>>>;

/// A database whose statements are counted.
fn counted(site: &File) -> (Database, Counts) {
    let counts = Counts::default();
    let seen = Arc::clone(&counts);
    let database = Database::new_with(site.options(&app("hr")), move |db| {
        let seen = Arc::clone(&seen);
        let profile = TraceEventCodes::SQLITE_TRACE_PROFILE;
        db.trace_v2(
            profile,
            Some(move |event: TraceEvent<'_>| {
                if let TraceEvent::Profile(statement, _) = event {
                    let steps = statement.get_status(StatementStatus::VmStep);
                    let sql = statement.sql().into_owned();
                    seen.lock().unwrap().push((sql, steps));
                }
            }),
        )
        .unwrap();
        Ok(())
    });
    (database, counts)
}

#[tokio::test]
async fn upkeep_touches_only_what_it_changes() {
    let (site, top) = filled().await;
    let (outbox, counts) = counted(&site);
    let (events, held) = (stream("events"), std::slice::from_ref(&top));
    let near = EntryId::new(1, 4_990);
    let pay = follower("pay");
    let changed = std::slice::from_ref(&pay);

    outbox.subscribe(held, &follower("new")).await.unwrap();
    outbox.record_receipts(held, changed).await.unwrap();
    assert_eq!(outbox.subscribers(&events).await.unwrap().len(), 3);
    let later = Timestamp::from_millis(2);
    for expected in [5, 10] {
        let pruned = outbox.prune(&top, near, later, 5).await.unwrap();
        assert_eq!(pruned, EntryId::new(1, expected));
    }
    assert_eq!(outbox.pruned(&events).await.unwrap().len(), 1);
    let read = outbox.numbered(&shard(), near, 5).await.unwrap();
    assert_eq!(read[0].at, EntryId::new(1, 4_991));
    assert!(read[0].prev.is_some());
    let known = outbox.checkpoint_at(&shard(), near).await.unwrap();
    assert!(known.is_some());
    assert!(outbox.number(held, 5, later).await.unwrap().is_empty());
    let parked = Shard {
        owner: app("crm"),
        ..shard()
    };
    assert_eq!(outbox.exceptions(&parked, 3).await.unwrap().1, 505);
    let lowered = outbox.begin_generation(held, &[near], 0).await.unwrap();
    assert_eq!(lowered[0].at, EntryId::new(2, 0));

    let counts = counts.lock().unwrap();
    assert!(counts.len() > 20, "statements were counted");
    for (sql, steps) in counts.iter() {
        assert!(*steps < STEPS_MAX, "{steps} steps: {sql}");
    }
}
