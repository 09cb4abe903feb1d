use rusqlite::{Connection, TransactionBehavior};

use millstream_core::error::{Error, ErrorKind};
use millstream_sqlite::Location;
use millstream_sqlite::error::from_rusqlite;

/// Marks the file as an embedded log: "Mill".
const APPLICATION_ID: i32 = 0x4d69_6c6c;

/// The version of the tables below.
const VERSION: i32 = 2;

// Ids are the primary key, so that a read is one descent and a walk, and entries lie in its order.

const STREAMS: &str = "
CREATE TABLE streams (
    id       INTEGER PRIMARY KEY,
    key      TEXT    NOT NULL UNIQUE,
    kind     TEXT    NOT NULL CHECK (kind IN ('owned', 'shared', 'acknowledgments')),
    high     INTEGER NOT NULL DEFAULT 0, -- the last id that the stream ever held
    low      INTEGER NOT NULL DEFAULT 0,
    added    INTEGER NOT NULL DEFAULT 0,
    length   INTEGER NOT NULL DEFAULT 0,
    replaced INTEGER NOT NULL DEFAULT 0 -- how often it was begun anew
) STRICT;
";

const ENTRIES: &str = "
CREATE TABLE entries (
    stream_id INTEGER NOT NULL,
    high      INTEGER NOT NULL,
    low       INTEGER NOT NULL,
    fields    BLOB    NOT NULL,
    PRIMARY KEY (stream_id, high, low)
) STRICT, WITHOUT ROWID;
";

const POSITIONS: &str = "
CREATE TABLE positions (
    stream_id   INTEGER NOT NULL,
    group_name  TEXT    NOT NULL,
    database_id TEXT    NOT NULL,
    high        INTEGER NOT NULL,
    low         INTEGER NOT NULL,
    PRIMARY KEY (stream_id, group_name)
) STRICT, WITHOUT ROWID;
";

const DESCRIPTORS: &str = "
CREATE TABLE descriptors (
    stream     TEXT NOT NULL,
    owner      TEXT NOT NULL,
    descriptor TEXT NOT NULL, -- JSON
    PRIMARY KEY (stream, owner)
) STRICT, WITHOUT ROWID;
";

const GROUPS: &str = "
CREATE TABLE groups (
    stream_id INTEGER NOT NULL,
    name      TEXT    NOT NULL,
    high      INTEGER NOT NULL DEFAULT 0, -- the last entry handed out
    low       INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (stream_id, name)
) STRICT, WITHOUT ROWID;
";

const CONSUMERS: &str = "
CREATE TABLE consumers (
    stream_id  INTEGER NOT NULL,
    group_name TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    seen_at    INTEGER NOT NULL, -- milliseconds since 1970
    PRIMARY KEY (stream_id, group_name, name)
) STRICT, WITHOUT ROWID;
";

const PENDING: &str = "
CREATE TABLE pending (
    stream_id      INTEGER NOT NULL,
    group_name     TEXT    NOT NULL,
    high           INTEGER NOT NULL,
    low            INTEGER NOT NULL,
    consumer       TEXT    NOT NULL,
    delivered_at   INTEGER NOT NULL, -- milliseconds since 1970
    delivery_count INTEGER NOT NULL,
    PRIMARY KEY (stream_id, group_name, high, low)
) STRICT, WITHOUT ROWID;
";

/// All tables, in a new file.
const TABLES: [&str; 7] = [
    STREAMS,
    ENTRIES,
    POSITIONS,
    DESCRIPTORS,
    GROUPS,
    CONSUMERS,
    PENDING,
];

/// From version 1: streams had no count of replacements, descriptors had a column for each member,
/// and consumers were known by what they held alone.
const FROM_1: [&str; 6] = [
    "ALTER TABLE streams RENAME TO streams_1;
     ALTER TABLE descriptors RENAME TO descriptors_1;",
    STREAMS,
    DESCRIPTORS,
    CONSUMERS,
    "INSERT INTO streams (id, key, kind, high, low, added, length)
         SELECT id, key, kind, high, low, added, length FROM streams_1;
     INSERT INTO descriptors
         SELECT stream, owner,
                json_object('stream', stream, 'owner', owner, 'database', database_id,
                            'shards', shards, 'generation', generation)
         FROM descriptors_1;
     INSERT INTO consumers
         SELECT stream_id, group_name, consumer, max(delivered_at) FROM pending GROUP BY 1, 2, 3;",
    "DROP TABLE streams_1;
     DROP TABLE descriptors_1;",
];

/// Makes the tables in a new file, brings older ones up to date, and refuses a file that is not ours.
///
/// Several processes may do it at once: it is done wholly or not at all. True for the one that made
/// the tables of a new file.
pub(super) fn migrate(db: &mut Connection, location: &Location) -> Result<bool, Error> {
    if State::of(db, location)? == State::Current {
        return Ok(false);
    }
    let failed = |error| from_rusqlite(error, format!("cannot prepare {location}"));
    let transaction = db
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed)?;
    // Looked at again under the lock: another process may have been faster.
    let state = State::of(&transaction, location)?;
    let statements: &[&str] = match state {
        State::Current => return Ok(false),
        State::Version1 => &FROM_1,
        State::Empty => &TABLES,
    };
    for statement in statements {
        transaction.execute_batch(statement).map_err(failed)?;
    }
    transaction
        .pragma_update(None, "application_id", APPLICATION_ID)
        .map_err(failed)?;
    transaction
        .pragma_update(None, "user_version", VERSION)
        .map_err(failed)?;
    transaction.commit().map_err(failed)?;
    Ok(state == State::Empty)
}

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Empty,
    Version1,
    Current,
}

impl State {
    fn of(db: &Connection, location: &Location) -> Result<Self, Error> {
        let refused = |text| {
            Err(Error::new(
                ErrorKind::Misconfigured,
                format!("{location} {text}"),
            ))
        };
        // One statement, hence one snapshot: another process may be making the tables.
        let (application_id, version, tables) = db
            .query_row(
                "SELECT (SELECT application_id FROM pragma_application_id),
                        (SELECT user_version FROM pragma_user_version),
                        (SELECT count(*) FROM sqlite_schema)",
                [],
                |row| {
                    Ok((
                        row.get::<_, i32>(0)?,
                        row.get::<_, i32>(1)?,
                        row.get::<_, i64>(2)?,
                    ))
                },
            )
            .map_err(|error| from_rusqlite(error, format!("cannot open {location}")))?;
        match (application_id, version) {
            (APPLICATION_ID, VERSION) => Ok(Self::Current),
            (APPLICATION_ID, 1) => Ok(Self::Version1),
            (APPLICATION_ID, _) => refused(format!(
                "has tables of version {version}, this program knows {VERSION}: use the newer program"
            )),
            (0, 0) if tables == 0 => Ok(Self::Empty),
            _ => refused(
                "is a database, but not an embedded log: give the log a file of its own".into(),
            ),
        }
    }
}
