use rusqlite::{Connection, TransactionBehavior};

use millstream_core::error::{Error, ErrorKind};
use millstream_sqlite::Location;
use millstream_sqlite::error::from_rusqlite;

/// Marks the file as an embedded log: "Mill".
const APPLICATION_ID: i32 = 0x4d69_6c6c;

/// The version of the tables below.
const VERSION: i32 = 1;

/// Ids are the primary key, so that a read is one descent and a walk, and entries lie in its order.
const TABLES: &str = "
CREATE TABLE streams (
    id     INTEGER PRIMARY KEY,
    key    TEXT    NOT NULL UNIQUE,
    kind   TEXT    NOT NULL CHECK (kind IN ('owned', 'shared')),
    high   INTEGER NOT NULL DEFAULT 0, -- the last id that the stream ever held
    low    INTEGER NOT NULL DEFAULT 0,
    added  INTEGER NOT NULL DEFAULT 0,
    length INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE entries (
    stream_id INTEGER NOT NULL,
    high      INTEGER NOT NULL,
    low       INTEGER NOT NULL,
    fields    BLOB    NOT NULL,
    PRIMARY KEY (stream_id, high, low)
) STRICT, WITHOUT ROWID;

CREATE TABLE positions (
    stream_id   INTEGER NOT NULL,
    group_name  TEXT    NOT NULL,
    database_id TEXT    NOT NULL,
    high        INTEGER NOT NULL,
    low         INTEGER NOT NULL,
    PRIMARY KEY (stream_id, group_name)
) STRICT, WITHOUT ROWID;

CREATE TABLE descriptors (
    stream      TEXT    NOT NULL,
    owner       TEXT    NOT NULL,
    database_id TEXT    NOT NULL,
    shards      INTEGER NOT NULL,
    generation  INTEGER NOT NULL,
    PRIMARY KEY (stream, owner)
) STRICT, WITHOUT ROWID;

CREATE TABLE groups (
    stream_id INTEGER NOT NULL,
    name      TEXT    NOT NULL,
    high      INTEGER NOT NULL DEFAULT 0, -- the last entry handed out
    low       INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (stream_id, name)
) STRICT, WITHOUT ROWID;

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

/// Makes the tables in a new file, and refuses a file that is not ours.
///
/// Several processes may do it at once: the tables are there wholly or not at all. True for the one
/// that made them.
pub(super) fn migrate(db: &mut Connection, location: &Location) -> Result<bool, Error> {
    let failed = |error| from_rusqlite(error, format!("cannot prepare {location}"));
    if is_current(db, location)? {
        return Ok(false);
    }
    let transaction = db
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed)?;
    // Another process may have been faster.
    if is_current(&transaction, location)? {
        return Ok(false);
    }
    transaction.execute_batch(TABLES).map_err(failed)?;
    transaction
        .pragma_update(None, "application_id", APPLICATION_ID)
        .map_err(failed)?;
    transaction
        .pragma_update(None, "user_version", VERSION)
        .map_err(failed)?;
    transaction.commit().map_err(failed)?;
    Ok(true)
}

/// Whether the tables are there; false for an empty file.
fn is_current(db: &Connection, location: &Location) -> Result<bool, Error> {
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
        (APPLICATION_ID, VERSION) => Ok(true),
        (APPLICATION_ID, _) => refused(format!(
            "has tables of version {version}, this program knows {VERSION}: use the newer program"
        )),
        (0, 0) if tables == 0 => Ok(false),
        _ => {
            refused("is a database, but not an embedded log: give the log a file of its own".into())
        }
    }
}
