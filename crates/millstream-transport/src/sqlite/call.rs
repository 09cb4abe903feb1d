use std::fmt;

use rusqlite::ErrorCode;

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
            // Pages of entries that are trimmed are used again.
            Fault::Sqlite(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull) => {
                Error::full(format!("{context}: {error}"))
            }
            Fault::Sqlite(error) => from_rusqlite(error, context),
            Fault::Ours(kind, text) => Error::new(kind, format!("{context}: {text}")),
        }
    })
}

#[cfg(test)]
mod tests {
    use millstream_core::entry::EntryId;
    use millstream_core::log::{Appended, Log};
    use millstream_testkit::sample::sized_entry;
    use millstream_testkit::shard;

    use super::super::{Options, Transport};
    use super::*;

    #[tokio::test]
    async fn a_full_file_takes_entries_again_once_it_was_trimmed() {
        let log = Transport::connect(Options::memory()).await.unwrap();
        log.durable
            .call(|db| {
                db.pragma_update_and_check(None, "max_page_count", 60, |_| Ok(()))
                    .map_err(|error| from_rusqlite(error, "cannot limit the file"))
            })
            .await
            .unwrap();
        let shard = shard(0);
        let append = async |seq| {
            let last = EntryId::new(u64::from(seq > 1), seq - 1);
            log.append(&shard, last, &[sized_entry(seq, 50_000)]).await
        };
        let mut seq = 1;
        let error = loop {
            match append(seq).await {
                Ok(appended) => assert_eq!(appended, Appended::Added),
                Err(error) => break error,
            }
            seq += 1;
        };
        assert!(seq > 2, "some entries fit");
        assert!(error.is_full(), "{error}");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        log.trim(&shard, EntryId::new(1, seq - 1)).await.unwrap();
        assert_eq!(append(seq).await.unwrap(), Appended::Added);
    }
}
