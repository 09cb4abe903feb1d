//! Databases that an earlier version has made.

use std::fs;

use millstream_core::clock::{Clock, SystemClock, Timestamp};
use millstream_core::entry::{EntryId, Shard};
use millstream_core::lease::{Feed, Lease, Leases, Role};
use millstream_core::outbox::Outbox;
use millstream_core::store::{DeadLetterQuery, Store};
use millstream_sql::Migration;
use millstream_sql::identifier::Prefix;
use millstream_sql::sqlite::{TABLES_VERSION, migrate, pending};
use millstream_testkit::suite::Site;
use millstream_testkit::{app, instance, shard, stream};

use super::File;
use super::mortal::Life;

/// Tables of version 1 whose names begin with `sync_`, and rows in them.
const VERSION_1: &str = include_str!("version_1.sql");

/// A file of version 1 with these rows, before and after it was migrated.
async fn migrated() -> (File, Vec<String>) {
    let site = File::new("sync_");
    let prefix = Prefix::new("sync_").unwrap();
    let scripts = pending(&site.open(), &prefix).unwrap();
    assert!(VERSION_1.starts_with(&scripts[0]), "what is out is kept");
    site.execute(VERSION_1).await.unwrap();
    let before = kept(&site).await;

    let mut db = site.open();
    assert_eq!(pending(&db, &prefix).unwrap(), scripts[1..]);
    let done = migrate(&mut db, &app("hr"), &prefix, None).unwrap();
    let (from, to) = (1, TABLES_VERSION);
    assert_eq!(done, Migration { from, to });
    assert!(pending(&db, &prefix).unwrap().is_empty());
    (site, before)
}

/// Everything of version 1.
async fn kept(site: &File) -> Vec<String> {
    let mut kept = Vec::new();
    for query in [
        "SELECT name, value FROM sync_millstream_meta WHERE name <> 'version' ORDER BY name",
        "SELECT * FROM sync_millstream_instances",
        "SELECT * FROM sync_millstream_shards ORDER BY id",
        "SELECT shard, generation, seq, event_id, event_type, source_application, tenant_id, entity_id,
                outcome, published_at, received_at, applied_at
         FROM sync_millstream_inbox ORDER BY shard, generation, seq",
        "SELECT * FROM sync_millstream_keys",
        "SELECT id, shard, generation, seq, event_id, event_type, source_application, tenant_id,
                partition_key, outcome, reason, attempts, raw, parked_at
         FROM sync_dead_letters ORDER BY id",
        "SELECT id, event_id, stream, event_type, tenant_id, entity_id, event_data,
                target_application, partition_key, version, published_by, metadata, occurred_at,
                entity_version, shard, generation, seq
         FROM sync_outbox ORDER BY id",
        "SELECT * FROM sync_event_tracking ORDER BY event_id, application",
    ] {
        kept.extend(site.rows(query).await);
    }
    kept
}

#[tokio::test]
async fn nothing_of_version_1_is_lost() {
    let (site, before) = migrated().await;
    assert_eq!(kept(&site).await, before);

    let hr = site.connect().await;
    assert_eq!(hr.identity().await.unwrap().database.as_str(), "d1");
    let (exceptions, count) = hr.exceptions(&shard(0), 9).await.unwrap();
    assert_eq!((exceptions[0].at, count), (EntryId::new(1, 2), 1));
    let query = DeadLetterQuery {
        limit: 9,
        ..DeadLetterQuery::default()
    };
    assert_eq!(hr.dead_letters(&query).await.unwrap().len(), 1);
}

fn own() -> Shard {
    Shard {
        stream: stream("events"),
        owner: app("hr"),
        number: 0,
    }
}

async fn held(outbox: &impl Leases) -> Vec<Lease> {
    let rows = outbox.leases(Role::Relay).await.unwrap();
    assert_eq!(rows[0].feed, Feed::Owned(own()));
    let acquired = outbox.acquire(&instance("new"), Role::Relay, &rows).await;
    acquired.unwrap().unwrap()
}

/// Nobody knows when they were numbered, so they count as new, and are kept as long as new ones.
#[tokio::test]
async fn numbers_of_version_1_are_as_old_as_the_migration() {
    let before = SystemClock.now().as_millis();
    let (site, _) = migrated().await;
    let after = SystemClock.now().as_millis();
    let outbox = site.connect().await;
    let mut held = held(&outbox).await;

    // SQLite's clock goes by milliseconds too, but rounds.
    let early = Timestamp::from_millis(before - 1);
    let end = EntryId::new(9, 9);
    let pruned = outbox.prune(&held[0], end, early, 9).await.unwrap();
    assert_eq!(pruned, EntryId::ZERO);
    let rows = outbox.number(&held, 9, early).await.unwrap();
    assert_eq!(rows[0].at, EntryId::new(1, 3));
    assert_eq!(rows[0].prev.as_deref(), Some(&b"e2"[..]));
    held[0].checkpoint = outbox.checkpoint(&held[0]).await.unwrap().unwrap();

    let late = Timestamp::from_millis(after + 2);
    let pruned = outbox.prune(&held[0], end, late, 9).await.unwrap();
    assert_eq!(pruned, EntryId::new(1, 3));
    assert_eq!(site.rows("SELECT * FROM sync_outbox").await, [""; 0]);
}

/// And no program of version 1 works on it any more, nor one of today before it is done.
#[tokio::test]
async fn a_file_of_version_1_is_not_used_as_it_is() {
    let site = File::new("sync_");
    site.execute(VERSION_1).await.unwrap();
    let error = site.connect().await.identity().await.unwrap_err();
    assert!(error.to_string().contains("millstream migrate"), "{error}");
}

/// Killed before any statement: what was begun is gone with it, and the next one makes everything.
#[tokio::test]
async fn a_migration_that_was_killed_leaves_nothing() {
    let (events, prefix) = (stream("events"), Prefix::default());
    let mut statements = 0;
    loop {
        let site = File::new("");
        let life = Life::new(statements, site.path());
        let mut mortal = site.open();
        life.live_in(&mut mortal);
        migrate(&mut mortal, &app("hr"), &prefix, Some(&events)).unwrap();
        let Some(remains) = life.end() else { break };
        let mut log = remains.clone().into_os_string();
        log.push("-wal");
        let log = fs::read(log).unwrap_or_default();
        let left = File::left_as(&fs::read(remains).unwrap(), &log);
        let error = left.connect().await.identity().await.unwrap_err();
        assert!(error.to_string().contains("millstream migrate"), "{error}");
        let done = migrate(&mut left.open(), &app("hr"), &prefix, Some(&events));
        assert_eq!(done.unwrap().from, 0, "before statement {statements}");
        left.connect().await.identity().await.unwrap();
        statements += 1;
    }
    assert!(statements > 20, "there were statements to die before");
}
