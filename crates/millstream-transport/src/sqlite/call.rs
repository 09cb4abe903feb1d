use std::fmt;

use millstream_core::error::{Error, ErrorKind};
use millstream_core::name;
use millstream_sqlite::Connection;
use millstream_sqlite::error::from_rusqlite;

/// What can go wrong in a job on a connection.
#[derive(Debug)]
pub(super) enum Fault {
    Sqlite(rusqlite::Error),
    Ours(ErrorKind, String),
}

impl Fault {
    /// Something in the file that we did not put there like that.
    pub(super) fn corrupt(what: impl fmt::Display) -> Self {
        Self::Ours(ErrorKind::Invalid, what.to_string())
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<name::Error> for Fault {
    fn from(error: name::Error) -> Self {
        Self::corrupt(error)
    }
}

/// Runs a job. Its error says what could not be done with which stream in which file.
pub(super) async fn call<T, F>(
    connection: &Connection,
    action: &'static str,
    object: impl fmt::Display,
    job: F,
) -> Result<T, Error>
where
    F: FnOnce(&mut rusqlite::Connection) -> Result<T, Fault> + Send + 'static,
    T: Send + 'static,
{
    // An error of opening has no fault to unwrap and says itself which file it is about.
    let outcome = connection.call(move |db| Ok(job(db))).await?;
    outcome.map_err(|fault| {
        let context = format!("{}: cannot {action} {object}", connection.location());
        match fault {
            Fault::Sqlite(error) => from_rusqlite(error, context),
            Fault::Ours(kind, text) => Error::new(kind, format!("{context}: {text}")),
        }
    })
}
