use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use millstream::mysql::mysql_async::prelude::Queryable as _;
use millstream::mysql::mysql_async::{self, Conn, Opts};
use millstream::postgres::tokio_postgres::{self, Client, NoTls, SimpleQueryMessage};
use millstream::rusqlite::types::Value;
use millstream::rusqlite::{Connection, OpenFlags, Row};

/// How long a look waits for a file that somebody has locked.
const BUSY_MAX: Duration = Duration::from_secs(10);

/// A row as texts; null is none.
pub(crate) type Texts = Vec<Option<String>>;

/// Where to look into a database, past the code that is being judged. Each look is by a connection of
/// its own, since servers come and go.
#[derive(Debug, Clone)]
pub(crate) enum Eyes {
    Sqlite(PathBuf),
    Postgres(String),
    MariaDb(String),
}

impl Eyes {
    /// All rows of a query that all databases understand.
    pub(crate) async fn rows(&self, sql: &str) -> anyhow::Result<Vec<Texts>> {
        let rows = match self {
            Self::Sqlite(path) => sqlite(path, sql),
            Self::Postgres(url) => postgres(url, sql).await,
            Self::MariaDb(url) => mariadb(url, sql).await,
        };
        rows.with_context(|| sql.to_owned())
    }

    /// The one number that a query gives.
    pub(crate) async fn number(&self, sql: &str) -> anyhow::Result<u64> {
        let rows = self.rows(sql).await?;
        let number = rows.first().and_then(|row| row.first()?.as_deref());
        let number = number.with_context(|| format!("{sql}: no row"))?;
        number.parse().context(sql.to_owned())
    }
}

fn sqlite(path: &PathBuf, sql: &str) -> anyhow::Result<Vec<Texts>> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    db.busy_timeout(BUSY_MAX)?;
    let mut statement = db.prepare(sql)?;
    let columns = statement.column_count();
    let texts = |row: &Row<'_>| (0..columns).map(|at| Ok(text(row.get(at)?))).collect();
    let rows = statement.query_map([], texts)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A value of SQLite as a text.
pub(super) fn text(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Integer(number) => Some(number.to_string()),
        Value::Real(number) => Some(number.to_string()),
        Value::Text(text) => Some(text),
        Value::Blob(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

/// A connection of an application's own, which ends when it is dropped.
pub(crate) async fn connect(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    // It ends with its client, or with the server; whoever uses it then is told.
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}

async fn postgres(url: &str, sql: &str) -> anyhow::Result<Vec<Texts>> {
    let messages = connect(url).await?.simple_query(sql).await?;
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let texts = |row: &tokio_postgres::SimpleQueryRow| {
        let text = |at| row.get(at).map(str::to_owned);
        (0..row.len()).map(text).collect()
    };
    Ok(rows.map(texts).collect())
}

async fn mariadb(url: &str, sql: &str) -> anyhow::Result<Vec<Texts>> {
    let mut conn = Conn::new(Opts::from_url(url)?).await?;
    let rows: Vec<mysql_async::Row> = conn.query(sql).await?;
    conn.disconnect().await?;
    let text = |value: mysql_async::Value| match value {
        mysql_async::Value::NULL => None,
        mysql_async::Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        other => Some(other.as_sql(true)),
    };
    let texts = |row: mysql_async::Row| row.unwrap().into_iter().map(text).collect();
    Ok(rows.into_iter().map(texts).collect())
}
