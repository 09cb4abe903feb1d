use rusqlite::{OptionalExtension, TransactionBehavior};
use uuid::Uuid;

use millstream_core::error::{Error, ErrorKind};
use millstream_core::name::{AppName, StreamName};

use crate::identifier::Prefix;
use crate::migration::Migration;
use crate::sqlite::database::while_doing;

/// The version of our tables that this library reads and writes.
pub const TABLES_VERSION: u32 = 3;

const SCRIPTS: [&str; TABLES_VERSION as usize] = [
    include_str!("schema.sql"),
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
];

/// Makes our tables, or brings them up to date, and gives the database its identity.
///
/// Makes only our own tables. All of it happens in one transaction: after a crash it is either done
/// or not begun, and doing it again changes nothing. `stream` is where outbox rows go that name none.
///
/// # Errors
///
/// [`Misconfigured`](ErrorKind::Misconfigured) when the database belongs to another application or
/// its tables are newer than this library.
pub fn migrate(
    db: &mut rusqlite::Connection,
    application: &AppName,
    prefix: &Prefix,
    stream: Option<&StreamName>,
) -> Result<Migration, Error> {
    let failed = while_doing("migrate");
    let tx = db
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(&failed)?;
    let from = version(&tx, prefix)?;
    if from > 0 {
        check_owner(&tx, prefix, application)?;
    }
    for script in &SCRIPTS[from as usize..] {
        tx.execute_batch(&prefix.sql(script)).map_err(&failed)?;
    }

    let set = prefix.sql(
        "INSERT INTO ~millstream_meta (name, value) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    );
    let mut set = tx.prepare(&set).map_err(&failed)?;
    if from == 0 {
        set.execute(["database", &Uuid::new_v4().to_string()])
            .map_err(&failed)?;
        set.execute(["application", application.as_str()])
            .map_err(&failed)?;
    }
    set.execute(["version", &TABLES_VERSION.to_string()])
        .map_err(&failed)?;
    if let Some(stream) = stream {
        set.execute(["stream", stream.as_str()]).map_err(&failed)?;
    }
    drop(set);
    tx.commit().map_err(&failed)?;
    Ok(Migration {
        from,
        to: TABLES_VERSION,
    })
}

/// The statements that [`migrate`] would run, for people to read first.
///
/// # Errors
///
/// As [`migrate`].
pub fn pending(db: &rusqlite::Connection, prefix: &Prefix) -> Result<Vec<String>, Error> {
    let from = version(db, prefix)?;
    Ok(SCRIPTS[from as usize..]
        .iter()
        .map(|script| prefix.sql(script))
        .collect())
}

/// The version of the tables that are there; 0 if there are none.
pub(super) fn version(db: &rusqlite::Connection, prefix: &Prefix) -> Result<u32, Error> {
    let failed = while_doing("look for our tables");
    let exists: bool = db
        .query_row(
            "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1",
            [prefix.sql("~millstream_meta")],
            |row| row.get(0),
        )
        .map_err(&failed)?;
    if !exists {
        return Ok(0);
    }
    let version = meta(db, prefix, "version")?.and_then(|version| version.parse().ok());
    match version {
        Some(version) if version <= TABLES_VERSION => Ok(version),
        Some(version) => Err(Error::new(
            ErrorKind::Misconfigured,
            format!(
                "the tables have version {version}, this program knows {TABLES_VERSION}: \
                 use the newer program"
            ),
        )),
        None => Err(Error::new(
            ErrorKind::Misconfigured,
            prefix.sql("~millstream_meta holds no version: it is not a table of ours"),
        )),
    }
}

fn check_owner(
    db: &rusqlite::Connection,
    prefix: &Prefix,
    application: &AppName,
) -> Result<(), Error> {
    match meta(db, prefix, "application")? {
        Some(owner) if owner != application.as_str() => Err(Error::new(
            ErrorKind::Misconfigured,
            format!("the database belongs to application {owner}, not to {application}"),
        )),
        _ => Ok(()),
    }
}

/// A line of our meta table.
pub(super) fn meta(
    db: &rusqlite::Connection,
    prefix: &Prefix,
    name: &str,
) -> Result<Option<String>, Error> {
    db.prepare_cached(&prefix.sql("SELECT value FROM ~millstream_meta WHERE name = ?1"))
        .and_then(|mut query| query.query_row([name], |row| row.get(0)).optional())
        .map_err(while_doing("read our meta table"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(name: &str) -> AppName {
        AppName::new(name).unwrap()
    }

    #[test]
    fn doing_it_twice_changes_nothing() {
        let mut db = rusqlite::Connection::open_in_memory().unwrap();
        let prefix = Prefix::new("sync_").unwrap();
        assert_eq!(pending(&db, &prefix).unwrap().len(), SCRIPTS.len());
        let first = migrate(&mut db, &app("hr"), &prefix, None).unwrap();
        let to = TABLES_VERSION;
        assert_eq!(first, Migration { from: 0, to });
        let id = meta(&db, &prefix, "database").unwrap();

        let second = migrate(&mut db, &app("hr"), &prefix, None).unwrap();
        assert_eq!(second, Migration { from: to, to });
        assert_eq!(meta(&db, &prefix, "database").unwrap(), id);
        assert!(pending(&db, &prefix).unwrap().is_empty());
    }

    #[test]
    fn another_applications_database_is_refused() {
        let mut db = rusqlite::Connection::open_in_memory().unwrap();
        migrate(&mut db, &app("hr"), &Prefix::default(), None).unwrap();
        let error = migrate(&mut db, &app("crm"), &Prefix::default(), None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the database belongs to application hr, not to crm"
        );
    }

    #[test]
    fn a_newer_database_is_refused() {
        let mut db = rusqlite::Connection::open_in_memory().unwrap();
        migrate(&mut db, &app("hr"), &Prefix::default(), None).unwrap();
        db.execute(
            "UPDATE millstream_meta SET value = '9' WHERE name = 'version'",
            [],
        )
        .unwrap();
        let error = migrate(&mut db, &app("hr"), &Prefix::default(), None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misconfigured);
    }
}
