//! What the application's own tables look like.

use std::collections::HashSet;
use std::sync::Arc;

use mysql_async::Row;

use millstream_core::error::{Error, ErrorKind};
use millstream_core::store::{Column, Table};
use millstream_core::value::ColumnKind;

use crate::capture::TRIGGERS;
use crate::described;
use crate::identifier::{Backticked, Prefix};
use crate::mysql::fitting::{Fit, Fits};
use crate::mysql::row::{integer, text};
use crate::mysql::session::{Session, values};

const DOING: &str = "describe a table";

/// What stands for how a table is declared, its unique keys above all. In a transaction that has touched
/// it, it stays so until the end: the server lets nobody alter it meanwhile.
pub(super) async fn version(session: &mut Session, name: &str) -> Result<u64, Error> {
    let sql = format!("SHOW CREATE TABLE {}", Backticked(name));
    let row = session.first(DOING, &sql, vec![]).await?;
    let declared = row.and_then(|row| text(&row, 1)).unwrap_or_default();
    // Counted up by every insert.
    let mut parts = declared.split(" AUTO_INCREMENT=");
    let first = parts.next().map(str::to_owned);
    let without_counter = parts.fold(first.unwrap_or_default(), |text, part| {
        text + part.trim_start_matches(|c: char| c.is_ascii_digit())
    });
    Ok(described::version(without_counter))
}

/// Describes a table; none if there is no table of this name. Views are not written to. A transaction is
/// open, in which all of it is of one moment.
///
/// # Errors
///
/// [`Misconfigured`](ErrorKind::Misconfigured) if what is written to the table cannot be rolled back.
pub(super) async fn describe(
    session: &mut Session,
    prefix: &Prefix,
    name: &str,
) -> Result<Option<(Table, Fits)>, Error> {
    let exists = "SELECT count(*) FROM information_schema.tables
                  WHERE table_schema = database() AND table_name = ? AND table_type = 'BASE TABLE'";
    let row = session.first(DOING, exists, values![name]).await?;
    if row.is_none_or(|row| integer(&row, 0) == 0) {
        return Ok(None);
    }
    if let Some(reason) = no_transactions(session, name).await? {
        return Err(Error::new(ErrorKind::Misconfigured, reason));
    }
    let touch = format!("SELECT 1 FROM {} LIMIT 0", Backticked(name));
    session.plain(DOING, &touch).await?;
    let version = version(session, name).await?;

    let checked = json_columns(session, name).await?;
    let sql = "SELECT column_name, data_type, column_type, collation_name,
                      coalesce(generation_expression, '') <> '',
                      is_nullable = 'NO' AND column_default IS NULL
                        AND extra NOT LIKE '%auto_increment%' AND extra NOT LIKE '%DEFAULT_GENERATED%'
               FROM information_schema.columns
               WHERE table_schema = database() AND table_name = ? ORDER BY ordinal_position";
    let rows = session.all(DOING, sql, values![name]).await?;
    let mut folding: HashSet<Arc<str>> = HashSet::new();
    let mut fits = Fits::default();
    let mut bending: HashSet<Arc<str>> = HashSet::new();
    let mut columns = Vec::with_capacity(rows.len());
    for row in &rows {
        let declared = Declared::read(row);
        if declared.bends() {
            bending.insert(declared.name.clone());
        }
        if declared.folds() {
            folding.insert(declared.name.clone());
        }
        if let Some(fit) = Fit::of(&declared.data_type, &declared.column_type) {
            fits.columns.insert(declared.name.clone(), fit);
        }
        let generated = integer(row, 4) != 0;
        columns.push(Column {
            kind: match checked.contains(&*declared.name) {
                true => ColumnKind::Json,
                false => declared.kind(),
            },
            bends: declared.bends(),
            generated,
            required: integer(row, 5) != 0 && !generated,
            name: declared.name,
        });
    }

    let indexes = unique_indexes(session, name).await?;
    let folded = indexes
        .iter()
        .flat_map(|index| &index.columns)
        .any(|column| folding.contains(column));
    // `ON DUPLICATE KEY UPDATE` takes any unique value for the key that was meant.
    let several = indexes.len() > 1;
    let reaches = is_related(session, prefix, name).await?;
    let bends = indexes
        .iter()
        .flat_map(|index| &index.columns)
        .any(|column| bending.contains(column));
    let plain = indexes.iter().all(|index| index.plain);
    fits.version = version;
    fits.only_folds = folded && plain && !several && !reaches && !bends;
    let table = Table {
        columns,
        unique: indexes
            .into_iter()
            .filter(|index| index.plain)
            .map(|index| index.columns)
            .collect(),
        related: folded || several || reaches,
        version,
    };
    Ok(Some((table, fits)))
}

/// A unique index, the primary key among them.
#[derive(Debug, Default)]
struct Index {
    columns: Vec<Arc<str>>,
    /// Whether it is made of whole columns and nothing else.
    plain: bool,
}

async fn unique_indexes(session: &mut Session, table: &str) -> Result<Vec<Index>, Error> {
    let sql = "SELECT index_name, column_name, sub_part IS NULL AND column_name IS NOT NULL
               FROM information_schema.statistics
               WHERE table_schema = database() AND table_name = ? AND non_unique = 0
               ORDER BY index_name <> 'PRIMARY', index_name, seq_in_index";
    let rows = session.all(DOING, sql, values![table]).await?;
    let mut indexes: Vec<(Option<String>, Index)> = Vec::new();
    for row in &rows {
        let name = text(row, 0);
        if indexes.last().is_none_or(|(last, _)| *last != name) {
            let index = Index {
                plain: true,
                ..Index::default()
            };
            indexes.push((name, index));
        }
        let (_, index) = indexes.last_mut().expect("one was just pushed");
        index.plain &= integer(row, 2) != 0;
        index.columns.extend(text(row, 1).map(Arc::from));
    }
    Ok(indexes.into_iter().map(|(_, index)| index).collect())
}

/// What to do about a table of an engine that rolls nothing back, if it is one.
pub(super) async fn no_transactions(
    session: &mut Session,
    table: &str,
) -> Result<Option<String>, Error> {
    let sql = "SELECT t.engine, coalesce(e.transactions, '') = 'YES'
               FROM information_schema.tables t
               LEFT JOIN information_schema.engines e ON e.engine = t.engine
               WHERE t.table_schema = database() AND t.table_name = ?";
    let row = session.first(DOING, sql, values![table]).await?;
    let row = row.filter(|row| integer(row, 1) == 0);
    Ok(row.map(|row| {
        let engine = text(&row, 0).unwrap_or_default();
        format!(
            "table {table} is of engine {engine}, which has no transactions: \
             do ALTER TABLE … ENGINE = InnoDB"
        )
    }))
}

/// Columns whose type MariaDB writes as text with a check.
pub(super) async fn json_columns(
    session: &mut Session,
    table: &str,
) -> Result<HashSet<String>, Error> {
    let sql = "SELECT count(*) FROM information_schema.columns
               WHERE table_schema = 'information_schema' AND table_name = 'CHECK_CONSTRAINTS'
                 AND column_name = 'TABLE_NAME'";
    // MySQL has a type of that name.
    let row = session.first(DOING, sql, vec![]).await?;
    if row.is_none_or(|row| integer(&row, 0) == 0) {
        return Ok(HashSet::new());
    }
    let sql = "SELECT check_clause FROM information_schema.check_constraints
               WHERE constraint_schema = database() AND table_name = ?";
    let rows = session.all(DOING, sql, values![table]).await?;
    Ok(rows
        .iter()
        .filter_map(|row| {
            let clause = text(row, 0)?;
            let column = clause.strip_prefix("json_valid(`")?.strip_suffix("`)")?;
            Some(column.replace("``", "`"))
        })
        .collect())
}

/// Whether a change of the table may reach other rows, or be reached by them: by a trigger, or by a
/// foreign key either way. Where any trigger is that is not ours, no table stands alone: what it writes
/// to is not ours to follow. Those that capture tables leave our own changes alone.
async fn is_related(session: &mut Session, prefix: &Prefix, name: &str) -> Result<bool, Error> {
    let sql = "SELECT EXISTS (SELECT 1 FROM information_schema.triggers
                              WHERE trigger_schema = database() AND event_object_table <> ?
                                AND left(trigger_name, char_length(?)) <> ?)
                   OR EXISTS (SELECT 1 FROM information_schema.key_column_usage
                              WHERE referenced_table_name IS NOT NULL
                                AND ((table_schema = database() AND table_name = ?)
                                  OR (referenced_table_schema = database()
                                    AND referenced_table_name = ?)))";
    let ours = prefix.sql(TRIGGERS);
    let parameters = values![prefix.sql("~outbox"), &*ours, &*ours, name, name];
    let row = session.first(DOING, sql, parameters).await?;
    Ok(row.is_some_and(|row| integer(&row, 0) != 0))
}

/// A column as it was declared.
struct Declared {
    name: Arc<str>,
    data_type: String,
    column_type: String,
    collation: Option<String>,
}

impl Declared {
    fn read(row: &Row) -> Self {
        let word = |column| text(row, column).unwrap_or_default();
        Self {
            name: word(0).into(),
            data_type: word(1).to_ascii_lowercase(),
            column_type: word(2).to_ascii_lowercase(),
            collation: text(row, 3),
        }
    }

    fn kind(&self) -> ColumnKind {
        match self.data_type.as_str() {
            "tinyint" if self.column_type.starts_with("tinyint(1)") => ColumnKind::Boolean,
            "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "year" => ColumnKind::Integer,
            "float" | "double" => ColumnKind::Real,
            "decimal" => ColumnKind::Numeric,
            "json" => ColumnKind::Json,
            "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "enum"
            | "set" | "uuid" | "inet4" | "inet6" => ColumnKind::Text,
            "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => {
                ColumnKind::Blob
            }
            _ => ColumnKind::Any,
        }
    }

    /// Whether the column may store two different values as equal ones: `char` forgets blanks, an
    /// instant its fractions, a number its scale, `binary` fills up.
    fn bends(&self) -> bool {
        !matches!(
            self.data_type.as_str(),
            "tinyint"
                | "smallint"
                | "mediumint"
                | "int"
                | "bigint"
                | "varchar"
                | "tinytext"
                | "text"
                | "mediumtext"
                | "longtext"
                | "varbinary"
                | "tinyblob"
                | "blob"
                | "mediumblob"
                | "longblob"
        )
    }

    /// Whether two texts that differ may be equal in it.
    fn folds(&self) -> bool {
        let exact = ["utf8mb4_nopad_bin", "utf8mb4_0900_bin", "binary"];
        let text = self.collation.as_deref();
        self.bends() || text.is_some_and(|collation| !exact.contains(&collation))
    }
}
