//! Statements for the application's own tables.

use std::sync::Arc;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{ToSql, params_from_iter};

use millstream_core::change::{Op, Shape};
use millstream_core::error::{Error, ErrorKind};
use millstream_core::fold::Set;
use millstream_core::value::Value;

use crate::identifier::Quoted;
use millstream_sqlite::error::from_rusqlite;

/// Writes a set, row by row: within one process a prepared statement a row is the fastest form.
///
/// # Errors
///
/// That of the first row that failed. [`Conflict`](ErrorKind::Conflict) when a row to be updated is
/// not there.
pub(super) fn write(tx: &rusqlite::Transaction<'_>, set: &Set<'_>) -> Result<(), Error> {
    let failed = |error| from_rusqlite(error, format!("write to {}", set.shape.table));
    let mut statement = tx.prepare_cached(&statement(set.shape)).map_err(failed)?;
    for row in &set.rows {
        // Deletes and updates find the row by its key, an upsert names the key first.
        let values: [&[Value]; 2] = match set.shape.op {
            Op::Update => [&row.set, &row.key],
            Op::Upsert | Op::Delete => [&row.key, &row.set],
        };
        let parameters = params_from_iter(values.into_iter().flatten().map(Bound));
        let changed = statement.execute(parameters).map_err(failed)?;
        if changed == 0 {
            refuse_silence(set.shape)?;
        }
    }
    Ok(())
}

/// Nothing was written: fine for a delete, and for an upsert that only wants the row to be there.
fn refuse_silence(shape: &Shape) -> Result<(), Error> {
    let table = &shape.table;
    match shape.op {
        Op::Delete => Ok(()),
        Op::Upsert if shape.set.is_empty() => Ok(()),
        Op::Update => Err(Error::new(
            ErrorKind::Conflict,
            format!("{table} has no row with this key yet"),
        )),
        // `ON CONFLICT IGNORE` in the table's definition, or a trigger with `RAISE (IGNORE)`.
        Op::Upsert => Err(Error::new(
            ErrorKind::Invalid,
            format!("{table} ignores the row without an error"),
        )),
    }
}

/// The statement of a shape, with a parameter for each value.
fn statement(shape: &Shape) -> String {
    let table = Quoted(&shape.table);
    match shape.op {
        Op::Delete => {
            format!(
                "DELETE FROM {table} WHERE {}",
                each(&shape.key, " AND ", |c| format!("{c} = ?"))
            )
        }
        Op::Update => format!(
            "UPDATE {table} SET {} WHERE {}",
            each(&shape.set, ", ", |c| format!("{c} = ?")),
            each(&shape.key, " AND ", |c| format!("{c} = ?")),
        ),
        Op::Upsert => {
            let columns: Vec<_> = shape.key.iter().chain(&*shape.set).cloned().collect();
            let update = match &*shape.set {
                [] => "NOTHING".into(),
                set => {
                    format!(
                        "UPDATE SET {}",
                        each(set, ", ", |c| format!("{c} = excluded.{c}"))
                    )
                }
            };
            format!(
                "INSERT INTO {table} ({}) VALUES ({}) ON CONFLICT ({}) DO {update}",
                each(&columns, ", ", |c| c.to_string()),
                each(&columns, ", ", |_| "?".into()),
                each(&shape.key, ", ", |c| c.to_string()),
            )
        }
    }
}

fn each(columns: &[Arc<str>], between: &str, form: impl Fn(Quoted<'_>) -> String) -> String {
    columns
        .iter()
        .map(|column| form(Quoted(column)))
        .collect::<Vec<_>>()
        .join(between)
}

/// A value as SQLite takes it.
struct Bound<'a>(&'a Value);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Value::Null => ValueRef::Null,
            Value::Bool(value) => ValueRef::Integer(i64::from(*value)),
            Value::Integer(value) => ValueRef::Integer(*value),
            Value::Real(value) => ValueRef::Real(*value),
            Value::Number(text) | Value::Text(text) | Value::Json(text) => {
                ValueRef::Text(text.as_bytes())
            }
            Value::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(op: Op, key: &[&str], set: &[&str]) -> Shape {
        let names = |names: &[&str]| names.iter().map(|&name| Arc::from(name)).collect();
        Shape {
            table_number: 0,
            table: "employees".into(),
            key_number: 0,
            key: names(key),
            set: names(set),
            op,
            ordered: false,
        }
    }

    #[test]
    fn each_op_has_one_statement() {
        let key = ["tenant_id", "user_id"];
        assert_eq!(
            statement(&shape(Op::Upsert, &key, &["title", "odd\"name"])),
            "INSERT INTO \"employees\" (\"tenant_id\", \"user_id\", \"title\", \"odd\"\"name\") \
             VALUES (?, ?, ?, ?) ON CONFLICT (\"tenant_id\", \"user_id\") DO UPDATE SET \
             \"title\" = excluded.\"title\", \"odd\"\"name\" = excluded.\"odd\"\"name\""
        );
        assert_eq!(
            statement(&shape(Op::Upsert, &["id"], &[])),
            "INSERT INTO \"employees\" (\"id\") VALUES (?) ON CONFLICT (\"id\") DO NOTHING"
        );
        assert_eq!(
            statement(&shape(Op::Update, &key, &["title"])),
            "UPDATE \"employees\" SET \"title\" = ? WHERE \"tenant_id\" = ? AND \"user_id\" = ?"
        );
        assert_eq!(
            statement(&shape(Op::Delete, &["id"], &[])),
            "DELETE FROM \"employees\" WHERE \"id\" = ?"
        );
    }
}
