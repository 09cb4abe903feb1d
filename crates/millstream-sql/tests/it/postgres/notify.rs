//! Writers that tell the relay.

use std::time::{Duration, Instant};

use millstream_core::outbox::Outbox as _;
use millstream_sql::identifier::Prefix;
use millstream_sql::postgres::{Database, Options, Server, migrate, pending};
use millstream_testkit::suite::Site as _;
use millstream_testkit::{app, stream};

use super::Site;

const INSERT: &str = "INSERT INTO outbox (event_type, tenant_id, entity_id, event_data)
                      VALUES ('user.created', 'acme', '7', '{}')";

/// Longer than any test.
const LONG: Duration = Duration::from_secs(600);

fn options(site: &Site, notify: bool) -> Options {
    let server = Server::url(&site.url()).unwrap();
    Options {
        prefix: Prefix::default(),
        notify,
        ..Options::new(app("hr"), server)
    }
}

/// Takes what is there away, so that the next wait is for the next row.
const SENT: &str = "DELETE FROM outbox";

/// It would take a second each time to find a row by looking for it.
#[tokio::test]
async fn whoever_writes_wakes_the_relay() {
    let site = Site::make("").await;
    let options = options(&site, true);
    migrate(&options, None).await.unwrap();
    let database = Database::new(options);
    database.wait(&stream("events"), Duration::ZERO).await;
    let listening = "SELECT count(*) FROM pg_stat_activity
                     WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    assert_eq!(site.rows(listening).await, ["1"]);

    let begun = Instant::now();
    for _ in 0..20 {
        let waiting = {
            let database = database.clone();
            tokio::spawn(async move { database.wait(&stream("events"), LONG).await })
        };
        // It has looked, and found nothing.
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!waiting.is_finished());
        site.execute(INSERT).await.unwrap();
        waiting.await.unwrap();
        site.execute(SENT).await.unwrap();
    }
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
}

/// What is there is found without a word, and a lost connection loses nothing.
#[tokio::test]
async fn rows_are_found_without_being_told_of() {
    let site = Site::make("").await;
    let options = options(&site, true);
    migrate(&options, None).await.unwrap();
    let database = Database::new(options);
    site.execute(INSERT).await.unwrap();
    database.wait(&stream("events"), LONG).await;
    site.execute(SENT).await.unwrap();

    let waiting = {
        let database = database.clone();
        tokio::spawn(async move { database.wait(&stream("events"), LONG).await })
    };
    let cut = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
               WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    while site.rows(cut).await.is_empty() {
        tokio::task::yield_now().await;
    }
    site.execute(INSERT).await.unwrap();
    waiting.await.unwrap();
    // The next wait listens again.
    database.wait(&stream("events"), LONG).await;
    let listening = "SELECT count(*) FROM pg_stat_activity
                     WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    assert_eq!(site.rows(listening).await, ["1"]);
}

/// Migrations make the trigger and take it away, and say so before.
#[tokio::test]
async fn the_option_is_put_into_effect_by_a_migration() {
    let site = Site::make("").await;
    let count = "SELECT count(*) FROM pg_trigger WHERE tgname = 'outbox_notify'";
    for (notify, says, found) in [
        (false, "", "0"),
        (true, "CREATE TRIGGER", "1"),
        (true, "", "1"),
        (false, "DROP TRIGGER", "0"),
    ] {
        let options = options(&site, notify);
        let statements = pending(&options).await.unwrap().join("\n");
        assert!(statements.contains(says), "{statements}");
        assert_eq!(statements.is_empty(), says.is_empty(), "{statements}");
        migrate(&options, None).await.unwrap();
        assert_eq!(site.rows(count).await, [found]);
    }
    // Without the trigger rows are looked for, more often than once a second.
    let database = Database::new(options(&site, true));
    site.execute(INSERT).await.unwrap();
    database.wait(&stream("events"), LONG).await;
}
