//! Migrations that do not come to their end, and several at once.

use millstream_core::error::ErrorKind;
use millstream_core::lease::Leases as _;
use millstream_core::outbox::Outbox as _;
use millstream_sql::mysql::{TABLES_VERSION, migrate, pending};
use millstream_testkit::suite::Site as _;
use millstream_testkit::{app, stream};

use super::Database;
use super::mortal::Life;

const INSERT: &str = "INSERT INTO outbox (event_type, tenant_id, entity_id, event_data)
                      VALUES ('user.updated', 'acme', '7', '{}')";

/// Killed before any statement, of which each that makes a table commits: what is half made is used by
/// nobody, the next one does the rest, and nothing that was there changes.
#[tokio::test]
async fn a_migration_goes_on_where_it_was_killed() {
    let events = stream("events");
    let (mut statements, mut alive) = (0, false);
    while !alive {
        let site = Database::bare().await;
        let life = Life::new(statements, site.address()).await;
        let mortal = site.options_at(life.address(), &app("hr"));
        let done = migrate(&mortal, Some(&events)).await;
        alive = !life.end();
        assert_eq!(done.is_ok(), alive);
        if !alive {
            let error = site.connect().await.identity().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Misconfigured, "{error}");
            assert!(error.to_string().contains("millstream migrate"), "{error}");
        }

        let mut known = None;
        for _ in 0..2 {
            let migration = migrate(&site.options(), Some(&events)).await.unwrap();
            assert_eq!(migration.to, TABLES_VERSION);
            let identity = site.connect().await.identity().await.unwrap();
            assert_eq!(*known.get_or_insert(identity.clone()), identity);
        }
        assert_eq!(pending(&site.options()).await.unwrap(), [""; 0]);
        site.execute(INSERT).await.unwrap();
        let unsent = site.connect().await.unsent(&events).await.unwrap();
        assert_eq!(unsent, 1, "before statement {statements}");
        statements += 1;
    }
    assert!(statements > 20, "there were statements to die before");
}

/// With what they hold, also where the column that they lack was added before.
#[tokio::test]
async fn older_tables_are_brought_up_to_date() {
    let site = Database::make("").await;
    site.execute(
        "INSERT INTO millstream_inbox
         VALUES (1, 1, 1, 0, 'one', 'a.b', NULL, 'acme', '7', 'applied', NULL, 0, 0, NULL)",
    )
    .await
    .unwrap();
    let older = "UPDATE millstream_meta SET value = '1' WHERE name = 'version'";
    let lacking = "ALTER TABLE millstream_inbox DROP COLUMN content_hash";
    for sql in [lacking, "DO 0"] {
        site.execute(sql).await.unwrap();
        site.execute(older).await.unwrap();
        let error = site.connect().await.identity().await.unwrap_err();
        assert!(error.to_string().contains("millstream migrate"), "{error}");
        let migration = migrate(&site.options(), None).await.unwrap();
        assert_eq!((migration.from, migration.to), (1, TABLES_VERSION));
        let found = "SELECT event_id, content_hash FROM millstream_inbox";
        assert_eq!(site.rows(found).await, ["one|NULL"]);
        site.connect().await.identity().await.unwrap();
    }
}

/// All of them succeed, and the database has one identity.
#[tokio::test]
async fn migrations_wait_for_each_other() {
    let site = Database::bare().await;
    let mut running = Vec::new();
    for _ in 0..4 {
        let options = site.options();
        running.push(tokio::spawn(async move { migrate(&options, None).await }));
    }
    let mut made = 0;
    for migration in running {
        made += u32::from(migration.await.unwrap().unwrap().from == 0);
    }
    assert_eq!(made, 1, "the others found what the first had made");
    site.connect().await.identity().await.unwrap();
}

/// The database of one application is no other's.
#[tokio::test]
async fn another_application_is_refused() {
    let site = Database::make("").await;
    let other = site.options_at(site.address(), &app("crm"));
    let error = migrate(&other, None).await.unwrap_err();
    assert!(
        error.to_string().contains("belongs to application hr"),
        "{error}"
    );
}
