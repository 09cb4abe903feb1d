use uuid::Uuid;

use millstream_core::error::{Error, ErrorKind};
use millstream_core::name::{AppName, StreamName};

use crate::identifier::Prefix;
use crate::migration::Migration;
use crate::mysql::error::from_mysql;
use crate::mysql::options::Options;
use crate::mysql::row::{integer, text};
use crate::mysql::session::{Flavour, Session, values};

/// The version of our tables that this library reads and writes.
pub const TABLES_VERSION: u32 = 2;

const SCRIPTS: [&str; TABLES_VERSION as usize] =
    [include_str!("schema.sql"), include_str!("schema_2.sql")];

/// How long a migration waits for another one of the same tables, in seconds.
const OTHER_MAX: i64 = 60;

/// `ER_DUP_FIELDNAME`: a migration that was killed has added it.
const COLUMN_IS_THERE: u16 = 1060;

const DOING: &str = "migrate";

/// Makes our tables, or brings them up to date, and gives the database its identity.
///
/// Makes only our own tables. MariaDB and MySQL commit each statement that makes one, so a crash leaves
/// a part of them: the version is written last, and until then everything is done again, which changes
/// nothing that is there. Of two migrations at once, one waits. `stream` is where outbox rows go that
/// name none.
///
/// # Errors
///
/// [`Misconfigured`](ErrorKind::Misconfigured) when the database belongs to another application, its
/// tables are newer than this library, or a right is missing.
pub async fn migrate(options: &Options, stream: Option<&StreamName>) -> Result<Migration, Error> {
    let mut session = Session::open(options).await?;
    session.be_patient();
    lock(&mut session, &options.prefix).await?;
    let from = version(&mut session, &options.prefix).await?;
    check_owner(&mut session, &options.prefix, &options.application).await?;
    for script in &SCRIPTS[from as usize..] {
        for statement in statements(script, &options.prefix, session.flavour()) {
            match session.try_plain(&statement).await {
                // MySQL cannot add a column only where it is missing.
                Err(mysql_async::Error::Server(error)) if error.code == COLUMN_IS_THERE => {}
                done => done.map_err(|error| from_mysql(error, DOING))?,
            }
        }
    }

    session.begin(DOING).await?;
    if from == 0 {
        // Those that an interrupted migration has drawn stay.
        let sql = "INSERT INTO ~millstream_meta (name, value) VALUES (?, ?)
                   ON DUPLICATE KEY UPDATE value = value";
        let sql = options.prefix.sql(sql);
        for (name, value) in [
            ("database", Uuid::new_v4().to_string()),
            ("application", options.application.to_string()),
        ] {
            session.run(DOING, &sql, values![name, value]).await?;
        }
    }
    let sql = "INSERT INTO ~millstream_meta (name, value) VALUES (?, ?)
               ON DUPLICATE KEY UPDATE value = VALUES(value)";
    let sql = options.prefix.sql(sql);
    if let Some(stream) = stream {
        let line = values!["stream", stream.as_str()];
        session.run(DOING, &sql, line).await?;
    }
    let line = values!["version", TABLES_VERSION.to_string()];
    session.run(DOING, &sql, line).await?;
    // The lock ends with the connection.
    session.commit(DOING).await?;
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
pub async fn pending(options: &Options) -> Result<Vec<String>, Error> {
    let mut session = Session::open(options).await?;
    let from = version(&mut session, &options.prefix).await?;
    let flavour = session.flavour();
    Ok(SCRIPTS[from as usize..]
        .iter()
        .flat_map(|script| statements(script, &options.prefix, flavour))
        .collect())
}

fn statements(script: &str, prefix: &Prefix, flavour: Flavour) -> Vec<String> {
    let script = prefix
        .sql(script)
        .replace("{bin}", flavour.binary_collation());
    script
        .split("\n\n")
        .map(|statement| {
            let lines = statement.lines().skip_while(|line| line.starts_with("--"));
            lines.collect::<Vec<_>>().join("\n")
        })
        .filter(|statement| !statement.trim().is_empty())
        .collect()
}

async fn lock(session: &mut Session, prefix: &Prefix) -> Result<(), Error> {
    let sql = "SELECT GET_LOCK(concat('millstream ', sha1(concat(database(), '/', ?))), ?)";
    let name = prefix.sql("~");
    let row = session.first(DOING, sql, values![name, OTHER_MAX]).await?;
    match row.map(|row| integer(&row, 0)) {
        Some(1) => Ok(()),
        _ => Err(Error::new(
            ErrorKind::Unavailable,
            "migrate: another migration of these tables is under way",
        )),
    }
}

/// The version of the tables that are there; 0 if there are none, or not all of them yet.
pub(super) async fn version(session: &mut Session, prefix: &Prefix) -> Result<u32, Error> {
    let doing = "look for our tables";
    let sql = "SELECT count(*) FROM information_schema.tables
               WHERE table_schema = database() AND table_name = ?";
    let name = prefix.sql("~millstream_meta");
    let row = session.first(doing, sql, values![name]).await?;
    if row.is_none_or(|row| integer(&row, 0) == 0) {
        return Ok(0);
    }
    let Some(version) = meta(session, prefix, "version").await? else {
        return Ok(0);
    };
    match version.parse() {
        Ok(version) if version <= TABLES_VERSION => Ok(version),
        _ => Err(Error::new(
            ErrorKind::Misconfigured,
            format!(
                "the tables have version {version}, this program knows {TABLES_VERSION}: \
                 use the newer program"
            ),
        )),
    }
}

async fn check_owner(
    session: &mut Session,
    prefix: &Prefix,
    application: &AppName,
) -> Result<(), Error> {
    let sql = "SELECT count(*) FROM information_schema.tables
               WHERE table_schema = database() AND table_name = ?";
    let name = prefix.sql("~millstream_meta");
    let row = session.first(DOING, sql, values![name]).await?;
    if row.is_none_or(|row| integer(&row, 0) == 0) {
        return Ok(());
    }
    match meta(session, prefix, "application").await? {
        Some(owner) if owner != application.as_str() => Err(Error::new(
            ErrorKind::Misconfigured,
            format!("the database belongs to application {owner}, not to {application}"),
        )),
        _ => Ok(()),
    }
}

/// A line of our meta table.
pub(super) async fn meta(
    session: &mut Session,
    prefix: &Prefix,
    name: &str,
) -> Result<Option<String>, Error> {
    let sql = prefix.sql("SELECT value FROM ~millstream_meta WHERE name = ?");
    let row = session.first("read our meta table", &sql, values![name]);
    Ok(row.await?.and_then(|row| text(&row, 0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_taken_apart() {
        let prefix = Prefix::new("sync_").unwrap();
        let all: Vec<String> = SCRIPTS
            .iter()
            .flat_map(|script| statements(script, &prefix, Flavour::MariaDb))
            .collect();
        let begins = [
            "ALTER TABLE sync_",
            "CREATE TABLE IF NOT EXISTS sync_",
            "DROP TRIGGER IF EXISTS sync_",
            "CREATE TRIGGER sync_",
            "CREATE OR REPLACE VIEW sync_",
        ];
        for statement in &all {
            assert!(
                begins.iter().any(|begin| statement.starts_with(begin)),
                "{statement}"
            );
            assert!(!statement.contains(['~']), "{statement}");
            assert!(!statement.contains("{bin}"), "{statement}");
        }
        assert_eq!(all.len(), 18);
    }
}
