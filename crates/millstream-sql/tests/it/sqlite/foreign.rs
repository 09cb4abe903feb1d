//! Programs that know nothing of us and write events all the same.

use std::process::Command;

use millstream_core::clock::Timestamp;
use millstream_core::entry::{EntryId, Shard};
use millstream_core::lease::{Feed, Leases, Role};
use millstream_core::outbox::{Outbox, OutboxRow};
use millstream_testkit::suite::Site;
use millstream_testkit::{app, instance, stream};

use super::File;

const INSERT: &str = r#"INSERT INTO outbox (event_type, tenant_id, entity_id, event_data)
                        VALUES ('user.created', 'acme', '7', '{"name":"Łucja"}')"#;
const REFUSED: &str = "INSERT INTO outbox (event_type, tenant_id, entity_id, event_data)
                       VALUES ('user.created', 'acme', '7', 'no JSON')";

/// Runs a program and returns what it said, if it failed.
fn run(program: &str, arguments: &[&std::ffi::OsStr]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).output().unwrap();
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

fn is_installed(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output();
    found.is_ok_and(|output| output.status.success())
}

/// Numbers what is in the outbox while the other program has the file open or not.
async fn numbered(site: &File) -> Vec<OutboxRow> {
    let outbox = site.connect().await;
    let shard = Shard {
        stream: stream("events"),
        owner: app("hr"),
        number: 0,
    };
    let feeds = [Feed::Owned(shard.clone())];
    outbox.register(Role::Relay, &feeds).await.unwrap();
    let rows = outbox.leases(Role::Relay).await.unwrap();
    let leases = outbox.acquire(&instance("relay"), Role::Relay, &rows).await;
    let now = Timestamp::from_millis(0);
    let leases = leases.unwrap().unwrap();
    outbox.number(&leases, 100, now).await.unwrap();
    outbox.numbered(&shard, EntryId::ZERO, 100).await.unwrap()
}

fn assert_is_event(row: &OutboxRow) {
    assert_eq!(row.data, r#"{"name":"Łucja"}"#);
    assert_eq!(row.event_id.len(), 36);
    assert_eq!(&row.event_id[14..15], b"7");
    assert_eq!(row.timestamp.len(), "2026-01-01T00:00:00.000Z".len());
    assert_eq!(row.metadata, "{}");
}

#[tokio::test]
async fn the_sqlite3_shell_publishes_an_event() {
    if !is_installed("sqlite3") {
        println!("skipped: no sqlite3 on this machine");
        return;
    }
    let site = File::make("").await;
    let path = site.path();
    run("sqlite3", &[path.as_ref(), INSERT.as_ref()]).unwrap();
    let error = run("sqlite3", &[path.as_ref(), REFUSED.as_ref()]).unwrap_err();
    assert!(error.contains("event_data is one JSON object"), "{error}");

    let tracked = "SELECT event_id FROM event_tracking";
    run("sqlite3", &[path.as_ref(), tracked.as_ref()]).unwrap();
    let rows = numbered(&site).await;
    assert_eq!(rows.len(), 1);
    assert_is_event(&rows[0]);
}

#[tokio::test]
async fn python_publishes_an_event_with_its_rows() {
    if !is_installed("python3") {
        println!("skipped: no python3 on this machine");
        return;
    }
    const SCRIPT: &str = "
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute('CREATE TABLE users (id INTEGER PRIMARY KEY)')
for id in range(3):
    with db:
        db.execute('INSERT INTO users VALUES (?)', (id,))
        db.execute(sys.argv[2])
try:
    with db:
        db.execute('INSERT INTO users VALUES (3)')
        db.execute(sys.argv[3])
    sys.exit('it was not refused')
except sqlite3.IntegrityError as error:
    assert 'event_data is one JSON object' in str(error), error
";
    let site = File::make("").await;
    let path = site.path();
    let arguments = ["-c", SCRIPT].map(std::ffi::OsStr::new);
    let statements = [INSERT, REFUSED].map(std::ffi::OsStr::new);
    let all = [&arguments[..], &[path.as_ref()], &statements[..]].concat();
    run("python3", &all).unwrap();

    let rows = numbered(&site).await;
    assert_eq!(rows.len(), 3);
    rows.iter().for_each(assert_is_event);
    let versions: Vec<_> = rows.iter().map(|row| row.entity_version).collect();
    assert_eq!(versions, [1, 2, 3]);
    assert_eq!(site.rows("SELECT count(*) FROM users").await, ["3"]);
}
