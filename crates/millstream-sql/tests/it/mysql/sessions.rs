//! What our sessions are like, whatever the server says.

use millstream_core::name::AppName;
use millstream_sql::mysql::{Database, Options, Server, migrate};
use millstream_testkit::server::MariaDb;
use millstream_testkit::suite::store::{Consumer, Source};
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts};

use super::{mappings, set};

/// Each row says how the session was set that wrote it.
const THINGS: &str = "CREATE TABLE things (
    id VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin PRIMARY KEY, a VARCHAR(3), b INT,
    isolation VARCHAR(64) DEFAULT @@session.tx_isolation,
    strict BOOLEAN DEFAULT (find_in_set('STRICT_ALL_TABLES', @@session.sql_mode) > 0),
    zone VARCHAR(64) DEFAULT @@session.time_zone,
    fk BOOLEAN DEFAULT @@session.foreign_key_checks, uk BOOLEAN DEFAULT @@session.unique_checks,
    waits INT DEFAULT @@session.innodb_lock_wait_timeout,
    idle INT DEFAULT @@session.idle_transaction_timeout,
    moment TIMESTAMP DEFAULT '2024-02-29 12:00:00')";

/// A server that trades safety for convenience does not make us do so.
#[tokio::test]
async fn settings_of_the_server_do_not_reach_us() {
    let server = MariaDb::builder()
        .setting(
            "sql-mode=ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH",
        )
        .setting("transaction-isolation=SERIALIZABLE")
        .setting("default-time-zone=+09:00")
        .setting("autocommit=0")
        .setting("innodb-lock-wait-timeout=1000")
        .start()
        .await
        .unwrap();
    let opts = Opts::from_url(&server.url("")).unwrap();
    let mut conn = Conn::new(opts).await.unwrap();
    conn.query_drop("SET GLOBAL foreign_key_checks = OFF, GLOBAL unique_checks = OFF")
        .await
        .unwrap();
    conn.query_drop("CREATE DATABASE hr; USE hr").await.unwrap();
    conn.query_drop(THINGS).await.unwrap();
    let options = Options::new(
        AppName::new("hr").unwrap(),
        Server::url(&server.url("hr")).unwrap(),
    );
    let lock_wait = options.lock_wait.as_secs();
    let idle = options.idle_in_transaction.as_secs();
    migrate(&options, None).await.unwrap();
    let mut source = Source::shard(0);
    let store = Database::new(options);
    let mut consumer = Consumer::start(store, source.feed(), mappings()).await;
    let entries = source.send_all([&set("1", r#"{"a":"abc"}"#), &set("2", r#"{"a":"long"}"#)]);
    assert_eq!(consumer.settle(&entries).await, "1 applied, 1 dead");
    let found = "SELECT isolation, strict, zone, fk, uk, waits, idle FROM hr.things";
    let row: (String, bool, String, bool, bool, u64, u64) =
        conn.query_first(found).await.unwrap().unwrap();
    let zone = "+00:00".to_owned();
    let expected = (
        "READ-COMMITTED".to_owned(),
        true,
        zone,
        true,
        true,
        lock_wait,
        idle,
    );
    assert_eq!(row, expected);
}
