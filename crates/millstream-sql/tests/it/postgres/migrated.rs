//! Making our tables.

use millstream_core::lease::Leases as _;
use millstream_sql::Migration;
use millstream_sql::identifier::Prefix;
use millstream_sql::postgres::{Server, TABLES_VERSION, migrate, pending};
use millstream_testkit::suite::Site as _;
use millstream_testkit::{app, stream};

use super::Site;
use super::mortal::Life;

/// Each waits for the one before, and finds it done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_at_once_one_makes_the_tables() {
    let site = Site::bare().await;
    let mut running = Vec::new();
    for _ in 0..4 {
        let options = site.options(&app("hr"), site.address());
        running.push(tokio::spawn(async move {
            migrate(&options, None).await.unwrap().from
        }));
    }
    let mut found = Vec::new();
    for one in running {
        found.push(one.await.unwrap());
    }
    found.sort_unstable();
    let to = TABLES_VERSION;
    assert_eq!(found, [0, to, to, to]);
}

/// Nothing is made twice, whichever schema it is in, and nobody else's database is taken.
#[tokio::test]
async fn a_schema_of_its_own_holds_the_tables() {
    let site = Site::bare().await;
    let db = site.open().await;
    db.batch_execute("CREATE SCHEMA \"own's\"").await.unwrap();
    let options = |name| {
        let mut options = site.options(&app(name), site.address());
        let url = format!("{}?options=-c%20search_path%3D%22own%27s%22", site.url());
        options.server = Server::url(&url).unwrap();
        options.prefix = Prefix::new("sync_").unwrap();
        options
    };
    assert_eq!(
        pending(&options("hr")).await.unwrap().len(),
        TABLES_VERSION as usize
    );
    let first = migrate(&options("hr"), None).await.unwrap();
    let to = TABLES_VERSION;
    assert_eq!(first, Migration { from: 0, to });
    let again = migrate(&options("hr"), None).await.unwrap();
    assert_eq!(again, Migration { from: to, to });
    assert!(pending(&options("hr")).await.unwrap().is_empty());
    let error = migrate(&options("crm"), None).await;
    assert_eq!(
        error.unwrap_err().to_string(),
        "the database belongs to application hr, not to crm"
    );

    // A session that knows nothing of the schema publishes all the same.
    db.batch_execute(
        "SET search_path = pg_catalog;
         INSERT INTO \"own's\".sync_outbox (event_type, tenant_id, entity_id, event_data)
         VALUES ('user.updated', 'acme', '7', '{}')",
    )
    .await
    .unwrap();
    let sql = "SELECT id, entity_version FROM \"own's\".sync_outbox";
    assert_eq!(site.rows(sql).await, ["1|1"]);
}

/// With what they hold.
#[tokio::test]
async fn older_tables_are_brought_up_to_date() {
    let site = Site::make("").await;
    site.execute(
        "ALTER TABLE millstream_inbox DROP COLUMN content_hash;
         INSERT INTO millstream_inbox
         VALUES (1, 1, 1, 0, 'one', 'a.b', NULL, 'acme', '7', 'applied', NULL, 0, 0);
         UPDATE millstream_meta SET value = '1' WHERE name = 'version'",
    )
    .await
    .unwrap();
    let options = site.options(&app("hr"), site.address());
    let error = site.connect().await.identity().await.unwrap_err();
    assert!(error.to_string().contains("millstream migrate"), "{error}");
    let migration = migrate(&options, None).await.unwrap();
    let to = TABLES_VERSION;
    assert_eq!(migration, Migration { from: 1, to });
    let found = "SELECT event_id, content_hash FROM millstream_inbox";
    assert_eq!(site.rows(found).await, ["one|NULL"]);
    site.connect().await.identity().await.unwrap();
}

/// Killed before anything that it asks the server for: what it made is gone with it, and the next one
/// makes everything.
#[tokio::test]
async fn a_migration_that_was_killed_leaves_nothing() {
    let events = stream("events");
    let (mut statements, mut alive) = (0, false);
    while !alive {
        let site = Site::bare().await;
        let life = Life::begin(site.address(), statements).await;
        let mortal = site.options(&app("hr"), life.address());
        let done = migrate(&mortal, Some(&events)).await;
        alive = !life.has_ended();
        assert_eq!(done.is_ok(), alive);
        if !alive {
            let error = site.connect().await.identity().await.unwrap_err();
            assert!(error.to_string().contains("millstream migrate"), "{error}");
        }
        let options = site.options(&app("hr"), site.address());
        let migration = migrate(&options, Some(&events)).await;
        let from = if alive { TABLES_VERSION } else { 0 };
        assert_eq!(
            migration.unwrap().from,
            from,
            "before statement {statements}"
        );
        site.connect().await.identity().await.unwrap();
        statements += 1;
    }
    assert!(statements > 8, "there were statements to die before");
}
