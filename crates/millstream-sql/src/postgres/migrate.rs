use tokio_postgres::{Client, GenericClient};
use uuid::Uuid;

use millstream_core::error::{Error, ErrorKind};
use millstream_core::name::{AppName, StreamName};

use crate::identifier::{Prefix, Quoted};
use crate::migration::Migration;
use crate::postgres::database::{Database, while_doing};
use crate::postgres::notify;
use crate::postgres::options::Options;

/// The version of our tables that this library reads and writes.
pub const TABLES_VERSION: u32 = 2;

const SCRIPTS: [&str; TABLES_VERSION as usize] =
    [include_str!("schema.sql"), include_str!("schema_2.sql")];

/// Whoever holds this advisory lock migrates a database; others wait.
pub(super) const LOCK: i64 = 0x6d69_6c6c_7374_726d;

const DOING: &str = "migrate";

/// Makes our tables, or brings them up to date, and gives the database its identity.
///
/// Makes only our own tables, in the first schema of the search path. All of it happens in one
/// transaction, one process at a time: after a crash it is either done or not begun, and doing it again
/// changes nothing. `stream` is where outbox rows go that name none.
///
/// # Errors
///
/// [`Misconfigured`](ErrorKind::Misconfigured) when the database belongs to another application, its
/// tables are newer than this library, or a right is missing.
pub async fn migrate(options: &Options, stream: Option<&StreamName>) -> Result<Migration, Error> {
    let failed = while_doing(DOING);
    let (application, prefix) = (&options.application, &options.prefix);
    let database = Database::new(options.clone());
    let mut connection = database.connection(DOING).await?;
    let transaction = connection.transaction().await.map_err(failed)?;
    let tx: &tokio_postgres::Transaction<'_> = &transaction;
    tx.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK])
        .await
        .map_err(failed)?;
    let from = version(tx, prefix).await?;
    if from > 0 {
        check_owner(tx, prefix, application).await?;
    }
    let schema = schema(tx).await?;
    for script in &SCRIPTS[from as usize..] {
        tx.batch_execute(&script_of(script, prefix, &schema))
            .await
            .map_err(failed)?;
    }

    if notify::is_there(tx, prefix).await? != options.notify {
        let script = notify::script(options.notify);
        tx.batch_execute(&script_of(script, prefix, &schema))
            .await
            .map_err(failed)?;
    }

    let set = prefix.sql(
        "INSERT INTO ~millstream_meta (name, value) VALUES ($1, $2)
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    );
    let set = tx.prepare(&set).await.map_err(failed)?;
    let version = TABLES_VERSION.to_string();
    let database = Uuid::new_v4().to_string();
    let mut lines = vec![("version", version.as_str())];
    if from == 0 {
        lines.push(("database", &database));
        lines.push(("application", application.as_str()));
    }
    lines.extend(stream.map(|stream| ("stream", stream.as_str())));
    for (name, value) in lines {
        tx.execute(&set, &[&name, &value]).await.map_err(failed)?;
    }
    transaction.commit().await.map_err(failed)?;
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
    let prefix = &options.prefix;
    let database = Database::new(options.clone());
    let connection = database.connection(DOING).await?;
    let db: &Client = &connection;
    let from = version(db, prefix).await?;
    let schema = schema(db).await?;
    let mut scripts = SCRIPTS[from as usize..].to_vec();
    if notify::is_there(db, prefix).await? != options.notify {
        scripts.push(notify::script(options.notify));
    }
    let scripts = scripts.into_iter();
    Ok(scripts
        .map(|script| script_of(script, prefix, &schema))
        .collect())
}

/// Puts the schema in the place of each `@`, and of each `#`, which stands within a literal.
fn script_of(script: &str, prefix: &Prefix, schema: &str) -> String {
    let name = Quoted(schema).to_string();
    let within = name.replace('\'', "''");
    let mut text = String::with_capacity(2 * script.len());
    for c in prefix.sql(script).chars() {
        match c {
            '@' => text.push_str(&name),
            '#' => text.push_str(&within),
            c => text.push(c),
        }
    }
    text
}

pub(super) async fn schema(db: &impl GenericClient) -> Result<String, Error> {
    let row = db
        .query_one("SELECT current_schema()::text", &[])
        .await
        .map_err(while_doing("look for a schema"))?;
    row.get::<_, Option<String>>(0).ok_or_else(|| {
        let text = "the search path names no schema that exists";
        Error::new(ErrorKind::Misconfigured, text)
    })
}

/// The version of the tables that are there; 0 if there are none.
pub(super) async fn version(db: &impl GenericClient, prefix: &Prefix) -> Result<u32, Error> {
    let name = Quoted(&prefix.sql("~millstream_meta")).to_string();
    let exists: bool = db
        .query_one("SELECT to_regclass($1::text) IS NOT NULL", &[&name])
        .await
        .map_err(while_doing("look for our tables"))?
        .get(0);
    if !exists {
        return Ok(0);
    }
    let version = meta(db, prefix, "version").await?;
    match version.and_then(|version| version.parse().ok()) {
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

async fn check_owner(
    db: &impl GenericClient,
    prefix: &Prefix,
    application: &AppName,
) -> Result<(), Error> {
    match meta(db, prefix, "application").await? {
        Some(owner) if owner != application.as_str() => Err(Error::new(
            ErrorKind::Misconfigured,
            format!("the database belongs to application {owner}, not to {application}"),
        )),
        _ => Ok(()),
    }
}

/// A line of our meta table.
pub(super) async fn meta(
    db: &impl GenericClient,
    prefix: &Prefix,
    name: &str,
) -> Result<Option<String>, Error> {
    let row = db
        .query_opt(
            &prefix.sql("SELECT value FROM ~millstream_meta WHERE name = $1"),
            &[&name],
        )
        .await
        .map_err(while_doing("read our meta table"))?;
    Ok(row.map(|row| row.get(0)))
}
