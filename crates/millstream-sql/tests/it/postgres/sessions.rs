//! What our sessions are like, whatever the server, the database, the role or the user says.

use std::io;
use std::sync::{Arc, Mutex};

use millstream_core::lease::Leases as _;
use millstream_sql::postgres::{Database, Options, Server, migrate};
use millstream_testkit::app;
use millstream_testkit::server::Postgres;
use millstream_testkit::suite::Site as _;
use millstream_testkit::suite::store::{Consumer, event};

use super::{Site, mappings, set, things};

/// Each row says how the session was set that wrote it.
const THINGS: &str = "CREATE TABLE things (
    id text PRIMARY KEY, a integer, b integer,
    synchronous text DEFAULT current_setting('synchronous_commit'),
    isolation text DEFAULT current_setting('transaction_isolation'),
    idle text DEFAULT current_setting('idle_in_transaction_session_timeout'),
    zone text DEFAULT current_setting('timezone'));";

/// A role or a database that trades safety for speed does not make us do so.
#[tokio::test]
async fn settings_of_roles_and_databases_do_not_reach_us() {
    let (site, mut source, _) = things(THINGS).await;
    site.execute(
        "DO $$ BEGIN
           EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database());
           EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = ''serializable''',
                          current_database());
           EXECUTE format('ALTER DATABASE %I SET timezone = ''Asia/Tokyo''', current_database());
         END $$;
         ALTER ROLE postgres SET synchronous_commit = off;
         ALTER ROLE postgres SET idle_in_transaction_session_timeout = 0;",
    )
    .await
    .unwrap();
    let mut consumer = Consumer::start(site.connect().await, source.feed(), mappings()).await;
    let entries = [source.send(&set("1", r#"{"a":1}"#))];
    assert_eq!(consumer.settle(&entries).await, "1 applied");
    let found = "SELECT synchronous, isolation, idle, zone FROM things";
    assert_eq!(site.rows(found).await, ["on|read committed|5s|UTC"]);
}

/// The user's own settings count, even those that make a snapshot last as long as its transaction:
/// each look for new rows is a transaction of its own.
#[tokio::test]
async fn a_relay_of_repeatable_reads_sees_new_rows() {
    use millstream_core::clock::Timestamp;
    use millstream_core::entry::Shard;
    use millstream_core::lease::{Feed, Role};
    use millstream_core::outbox::Outbox as _;
    use millstream_testkit::{instance, stream};

    let site = Site::make("").await;
    let relay = site.with_setting("default_transaction_isolation=repeatable read");
    let shard = Shard {
        stream: stream("events"),
        owner: app("hr"),
        number: 0,
    };
    let feeds = [Feed::Owned(shard)];
    relay.register(Role::Relay, &feeds).await.unwrap();
    let rows = relay.leases(Role::Relay).await.unwrap();
    let taken = relay.acquire(&instance("relay"), Role::Relay, &rows).await;
    let mut tops = taken.unwrap().unwrap();
    for n in 0..3 {
        let now = Timestamp::from_millis(0);
        let none = relay.number(&tops, 9, now).await.unwrap();
        assert_eq!(none, [], "{n}");
        relay
            .insert(&stream("events"), &[event("thing.set", "acme", "7", "{}")])
            .await
            .unwrap();
        assert_eq!(relay.number(&tops, 9, now).await.unwrap().len(), 1, "{n}");
        tops[0].checkpoint = relay.checkpoint(&tops[0]).await.unwrap().unwrap();
    }
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whoever has it so is told; of a server that flushes each commit, nothing is said.
#[tokio::test]
async fn a_server_that_forgets_commits_is_warned_of() {
    let safe = Postgres::builder().durable().start().await.unwrap();
    let fast = Postgres::start_default().await.unwrap();
    for (server, query, warned) in [
        (&safe, "", false),
        (&safe, "?options=-c%20synchronous_commit%3Dlocal", false),
        (&safe, "?options=-c%20synchronous_commit%3Doff", true),
        (&fast, "", true),
    ] {
        let url = server.url();
        let address = Server::url(&format!("{url}{query}")).unwrap();
        let options = Options::new(app("hr"), address);
        migrate(&options, None).await.unwrap();
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .finish();
        let guard = tracing::subscriber::set_default(subscriber);
        Database::new(options).identity().await.unwrap();
        drop(guard);
        let said = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert_eq!(said.contains("forgets commits"), warned, "{query}: {said}");
    }
}
