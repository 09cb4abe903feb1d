use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use millstream::rusqlite::types::Value;
use millstream::rusqlite::{Connection, OpenFlags, Row};

use crate::site::{Log, Site};

/// How long a look waits for a database that another process is just opening or checkpointing.
const BUSY_MAX: Duration = Duration::from_secs(10);

/// Read-only eyes on the databases and the log, past the code that is being judged.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) crm: Connection,
    pub(crate) hr: Connection,
    pub(crate) affiliate: Connection,
    pub(crate) log: Log,
}

impl View {
    /// Opens the databases of a site, beside its log.
    pub(crate) fn open(site: &Site, log: Log) -> anyhow::Result<Self> {
        Ok(Self {
            crm: open(&site.database("crm"))?,
            hr: open(&site.database("hr"))?,
            affiliate: open(&site.database("affiliate"))?,
            log,
        })
    }

    /// The applications that follow, and their databases.
    pub(crate) fn followers(&self) -> [(&'static str, &Connection); 2] {
        [("hr", &self.hr), ("affiliate", &self.affiliate)]
    }
}

pub(super) fn open(path: &Path) -> anyhow::Result<Connection> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .with_context(|| format!("cannot open {}", path.display()))?;
    db.busy_timeout(BUSY_MAX)?;
    Ok(db)
}

/// A number that is never negative.
pub(crate) fn unsigned(row: &Row<'_>, column: usize) -> millstream::rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)?.unsigned_abs())
}

/// All rows of a query.
pub(crate) fn rows(db: &Connection, sql: &str) -> anyhow::Result<Vec<Vec<Value>>> {
    let mut statement = db.prepare_cached(sql)?;
    let columns = statement.column_count();
    let values = |row: &Row<'_>| (0..columns).map(|column| row.get(column)).collect();
    let rows = statement.query_map([], values)?.collect::<Result<_, _>>();
    rows.with_context(|| sql.to_owned())
}
