//! What each PostgreSQL error means for the event at hand.

use std::error::Error as _;

use deadpool_postgres::{PoolError, TimeoutType};
use tokio_postgres::error::{DbError, SqlState};

use millstream_core::error::{Error, ErrorKind};

use crate::encryption::{NOT_OFFERED, advice};
use crate::postgres::server::Server;

/// Wraps a library error with its kind; `context` says what was being done.
///
/// What the server says about a value may quote it, and a message may end up in a log: quoted parts are
/// left out then, and what a function of the application says altogether.
pub fn from_postgres(error: &tokio_postgres::Error, context: impl Into<String>) -> Error {
    let text = match error.as_db_error() {
        Some(error) => describe(error),
        None => match encryption(error) {
            Some(advice) => format!("{} ({advice})", explain(error)),
            None => explain(error),
        },
    };
    Error::with_source(kind(error), context, text)
}

/// The same for the pool that connections come from.
pub(super) fn from_pool(error: &PoolError, doing: &str, server: &Server) -> Error {
    match error {
        PoolError::Backend(error) => from_postgres(error, format!("{doing}: connect to {server}")),
        PoolError::Timeout(TimeoutType::Wait) => Error::new(
            ErrorKind::Unavailable,
            format!("{doing}: all connections to {server} are in use"),
        ),
        PoolError::Timeout(_) => Error::new(
            ErrorKind::Unavailable,
            format!("{doing}: connect to {server}: no answer"),
        ),
        error => Error::with_source(
            ErrorKind::Unavailable,
            format!("{doing}: connect to {server}"),
            error.to_string(),
        ),
    }
}

/// Classifies a library error: what the server says by its SQLSTATE
/// (<https://www.postgresql.org/docs/current/errcodes-appendix.html>), everything else as an outage.
pub fn kind(error: &tokio_postgres::Error) -> ErrorKind {
    match error.code() {
        // What a type makes of a text of its own has no place in our statement.
        Some(_) if error.as_db_error().is_some_and(is_syntax_of_value) => ErrorKind::Invalid,
        Some(state) => kind_of(state),
        None if encryption(error).is_some() => ErrorKind::Misconfigured,
        None => match error.to_string() {
            text if text.starts_with("invalid configuration") => ErrorKind::Misconfigured,
            text if text.starts_with("error serializing") => ErrorKind::Invalid,
            text if text.starts_with("error deserializing") => ErrorKind::Misconfigured,
            _ => ErrorKind::Unavailable,
        },
    }
}

fn kind_of(state: &SqlState) -> ErrorKind {
    match state.code() {
        // What the server does to one of two transactions says nothing about an event: the batch is
        // tried again as a whole.
        "40001" | "40P01" | "55P03" | "57014" => ErrorKind::Unavailable,
        // A standby, or a primary that became one.
        "25006" => ErrorKind::Unavailable,
        // The session was ended while it waited for us.
        "25P03" | "25P04" => ErrorKind::Unavailable,
        "23001" | "23503" | "23505" | "23P01" => ErrorKind::Conflict,
        code => match &code[..2] {
            "08" | "53" | "57" | "58" => ErrorKind::Unavailable,
            // Data, constraints, a row twice in a statement, functions and views of the application,
            // a value that is too large for an index.
            "22" | "23" | "21" | "P0" | "38" | "39" | "44" | "54" => ErrorKind::Invalid,
            class if SERVER_CLASSES.contains(&class) => ErrorKind::Misconfigured,
            // The application's own.
            _ => ErrorKind::Invalid,
        },
    }
}

/// The classes of errors that the server itself has, but for those that say what they are about.
const SERVER_CLASSES: [&str; 31] = [
    "00", "01", "02", "03", "09", "0A", "0B", "0F", "0L", "0P", "0Z", "20", "24", "25", "26", "27",
    "28", "2B", "2D", "2F", "34", "3B", "3D", "3F", "40", "42", "55", "F0", "HV", "72", "XX",
];

/// Whether the text of a value breaks the rules of its type: `tsquery`, `jsonpath`, `ltree` and others call
/// that a syntax error, as if it were one of a statement, but name no place in one.
fn is_syntax_of_value(error: &DbError) -> bool {
    *error.code() == SqlState::SYNTAX_ERROR && error.position().is_none()
}

/// What the server says, without values.
pub(super) fn describe(error: &DbError) -> String {
    let code = error.code().code();
    let mut text = match &code[..2] {
        // Under whatever code: a function's own words may hold a value.
        _ if is_raised(error) => "a function in the database refuses it".into(),
        "22" | "21" | "54" => unquoted(error.message()),
        _ if is_syntax_of_value(error) => unquoted(error.message()),
        "P0" | "38" | "39" => "a function in the database refuses it".into(),
        _ => error.message().to_owned(),
    };
    let parts = [
        ("table", error.table()),
        ("column", error.column()),
        ("constraint", error.constraint()),
    ];
    for (what, name) in parts {
        if let Some(name) = name.filter(|name| !text.contains(name)) {
            text = format!("{text} ({what} {name})");
        }
    }
    format!("{text} (SQLSTATE {code})")
}

/// Whether code of the application wrote the message; ours begins with our names.
fn is_raised(error: &DbError) -> bool {
    let ours = ["outbox: ", "millstream: "];
    error.routine() == Some("exec_stmt_raise")
        && !ours.iter().any(|name| error.message().starts_with(name))
}

/// What to do, if the error is about encryption.
fn encryption(error: &tokio_postgres::Error) -> Option<&'static str> {
    let text = || explain(error);
    if error.as_db_error().is_none() && text().contains("server does not support TLS") {
        return Some(NOT_OFFERED);
    }
    advice(error)
}

fn unquoted(message: &str) -> String {
    let parts: Vec<&str> = message.split('"').collect();
    match &parts[..] {
        [all] => (*all).to_owned(),
        // A value may have quotes of its own: all between the first and the last one goes.
        [first, .., last] => format!("{first}…{last}"),
        [] => String::new(),
    }
}

/// Neither the server's address nor a password is in the library's texts.
fn explain(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_has_its_kind() {
        use ErrorKind::{Conflict, Invalid, Misconfigured, Unavailable};
        for (code, expected) in [
            ("08006", Unavailable),   // connection failure
            ("53100", Unavailable),   // disk full
            ("53300", Unavailable),   // too many connections
            ("57P01", Unavailable),   // the server is shut down
            ("57P03", Unavailable),   // it starts
            ("57014", Unavailable),   // statement timeout
            ("58030", Unavailable),   // I/O error
            ("40001", Unavailable),   // serialization failure
            ("40P01", Unavailable),   // deadlock
            ("55P03", Unavailable),   // lock timeout
            ("25006", Unavailable),   // read only
            ("25P03", Unavailable),   // idle in transaction
            ("0A000", Misconfigured), // not supported
            ("23503", Conflict),      // foreign key
            ("23505", Conflict),      // unique
            ("23P01", Conflict),      // exclusion
            ("23502", Invalid),       // not null
            ("23514", Invalid),       // check
            ("22P02", Invalid),       // text that is no value of the type
            ("22003", Invalid),       // out of range
            ("22021", Invalid),       // NUL
            ("21000", Invalid),       // a row twice in a statement
            ("P0001", Invalid),       // raised by a trigger
            ("44000", Invalid),       // check option of a view
            ("54000", Invalid),       // too large for an index
            ("42P01", Misconfigured), // no such table
            ("42703", Misconfigured), // no such column
            ("42501", Misconfigured), // no right
            ("42804", Misconfigured), // another type
            ("42P10", Misconfigured), // no unique key for ON CONFLICT
            ("28P01", Misconfigured), // password
            ("3D000", Misconfigured), // no such database
            ("XX000", Misconfigured), // internal
            ("CRM01", Invalid),       // raised by the application under a code of its own
        ] {
            assert_eq!(kind_of(&SqlState::from_code(code)), expected, "{code}");
        }
    }

    #[test]
    fn a_value_is_not_quoted() {
        assert_eq!(
            unquoted(r#"invalid input syntax for type integer: "hun"ter2""#),
            "invalid input syntax for type integer: …"
        );
        assert_eq!(
            unquoted(r#"value "hunter2" is out of range for type integer"#),
            "value … is out of range for type integer"
        );
    }
}
