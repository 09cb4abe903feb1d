//! What each SQLite error means for the event at hand.

use rusqlite::ffi;

use millstream_core::error::{Error, ErrorKind};

/// Wraps a library error with its kind; `context` says what was being done.
pub fn from_rusqlite(error: rusqlite::Error, context: impl Into<String>) -> Error {
    Error::with_source(kind(&error), context, error)
}

/// Classifies a library error by its result code (<https://sqlite.org/rescode.html>).
pub fn kind(error: &rusqlite::Error) -> ErrorKind {
    use rusqlite::ErrorCode as Code;

    let rusqlite::Error::SqliteFailure(failure, message) = error else {
        return match error {
            rusqlite::Error::SqlInputError { .. } => ErrorKind::Misconfigured,
            _ => ErrorKind::Invalid,
        };
    };
    match failure.code {
        // A full disk, a lock or a file that went away pass by themselves or by a person's hand.
        Code::DatabaseBusy
        | Code::DatabaseLocked
        | Code::DiskFull
        | Code::SystemIoFailure
        | Code::CannotOpen
        | Code::OutOfMemory
        | Code::OperationInterrupted
        | Code::FileLockingProtocolFailed
        | Code::SchemaChanged => ErrorKind::Unavailable,
        Code::ConstraintViolation => match failure.extended_code {
            ffi::SQLITE_CONSTRAINT_UNIQUE
            | ffi::SQLITE_CONSTRAINT_PRIMARYKEY
            | ffi::SQLITE_CONSTRAINT_ROWID
            | ffi::SQLITE_CONSTRAINT_FOREIGNKEY => ErrorKind::Conflict,
            _ => ErrorKind::Invalid,
        },
        // The file was removed or replaced after it was opened; the next call opens what is there.
        Code::ReadOnly if failure.extended_code == ffi::SQLITE_READONLY_DBMOVED => {
            ErrorKind::Unavailable
        }
        Code::TooBig | Code::TypeMismatch => ErrorKind::Invalid,
        // SQLITE_ERROR: what a statement says, or what a function in it says to a value.
        Code::Unknown if !is_about_schema(message.as_deref().unwrap_or_default()) => {
            ErrorKind::Invalid
        }
        _ => ErrorKind::Misconfigured,
    }
}

/// Whether a table, a column or a function is missing, or the statement cannot be parsed. SQLite has
/// one code for that and for, say, "malformed JSON" in a generated column; only the text differs.
fn is_about_schema(message: &str) -> bool {
    message.contains("no such ")
        || message.contains("has no column named")
        || message.contains("syntax error")
        || message.contains("incomplete input")
        || message.contains("ON CONFLICT clause does not match")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(sql: &str, expected: ErrorKind) {
        let db = rusqlite::Connection::open_in_memory().unwrap();
        db.execute_batch(
            "PRAGMA foreign_keys = ON;
             CREATE TABLE parent (id INTEGER PRIMARY KEY);
             CREATE TABLE t (id TEXT PRIMARY KEY, u TEXT UNIQUE, n TEXT NOT NULL DEFAULT '',
                             c INTEGER CHECK (c > 0), p INTEGER REFERENCES parent) STRICT;
             INSERT INTO t (id, u) VALUES ('1', 'x');",
        )
        .unwrap();
        let error = db.execute_batch(sql).unwrap_err();
        assert_eq!(kind(&error), expected, "{error}");
    }

    #[test]
    fn constraints_on_other_rows_may_pass_later() {
        check("INSERT INTO t (id) VALUES ('1')", ErrorKind::Conflict);
        check(
            "INSERT INTO t (id, u) VALUES ('2', 'x')",
            ErrorKind::Conflict,
        );
        check("INSERT INTO t (id, p) VALUES ('2', 9)", ErrorKind::Conflict);
    }

    #[test]
    fn constraints_on_the_row_itself_never_pass() {
        check(
            "INSERT INTO t (id, n) VALUES ('2', NULL)",
            ErrorKind::Invalid,
        );
        check("INSERT INTO t (id, c) VALUES ('2', -1)", ErrorKind::Invalid);
        check(
            "INSERT INTO t (id, c) VALUES ('2', 'x')",
            ErrorKind::Invalid,
        );
    }

    #[test]
    fn a_missing_table_or_column_waits_for_a_person() {
        check("INSERT INTO nowhere VALUES (1)", ErrorKind::Misconfigured);
        check(
            "INSERT INTO t (id, missing) VALUES ('2', 1)",
            ErrorKind::Misconfigured,
        );
    }

    #[test]
    fn what_a_function_says_to_a_value_is_the_events_fault() {
        check(
            "INSERT INTO t (id, n) VALUES ('2', json_extract('nope', '$.a'))",
            ErrorKind::Invalid,
        );
        check(
            "UPDATE t SET c = abs(-9223372036854775808)",
            ErrorKind::Invalid,
        );
    }

    #[test]
    fn a_full_database_is_an_outage() {
        let db = rusqlite::Connection::open_in_memory().unwrap();
        db.execute_batch("CREATE TABLE t (x); PRAGMA max_page_count = 3;")
            .unwrap();
        let error = db
            .execute("INSERT INTO t VALUES (randomblob(100000))", [])
            .unwrap_err();
        assert_eq!(kind(&error), ErrorKind::Unavailable, "{error}");
    }
}
