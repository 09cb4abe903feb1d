//! Statements for the application's own tables.

use std::borrow::Cow;
use std::sync::Arc;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{ToSql, params_from_iter};

use millstream_core::change::{Op, Shape};
use millstream_core::error::{Error, ErrorKind};
use millstream_core::fold::Set;
use millstream_core::mapping::{Input, coerce};
use millstream_core::value::{ColumnKind, Value};

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
    let form = Form::of(set.shape);
    let mut statement = tx
        .prepare_cached(&statement(set.shape, form))
        .map_err(failed)?;
    for row in &set.rows {
        let columns = set.shape.key.iter().chain(&*set.shape.set);
        for (column, value) in columns.zip(row.key.iter().chain(&*row.set)) {
            refuse_loss(set.shape, column, value)?;
        }
        let values: [&[Value]; 2] = match form {
            Form::Update => [&row.set, &row.key],
            Form::Insert | Form::Delete => [&row.key, &row.set],
        };
        let parameters = params_from_iter(values.into_iter().flatten().map(Bound));
        let changed = statement.execute(parameters).map_err(failed)?;
        if changed == 0 {
            refuse_silence(set.shape, form)?;
        }
    }
    Ok(())
}

/// A column of numbers keeps what is no integer as a double, and would round what none can hold.
fn refuse_loss(shape: &Shape, column: &str, value: &Value) -> Result<(), Error> {
    let Value::Number(number) = value else {
        return Ok(());
    };
    let double = coerce(ColumnKind::Real, Input::Number(Cow::Borrowed(number)));
    double.map(drop).map_err(|wrong| {
        let text = format!("{}.{column} {wrong}", shape.table);
        Error::new(ErrorKind::Invalid, text)
    })
}

/// The statement that writes a shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Names the key first.
    Insert,
    /// Finds the row by its key, last.
    Update,
    /// Finds the row by its key.
    Delete,
}

impl Form {
    /// An upsert that lacks what a new row needs can only find a row: SQLite would look at NOT NULL
    /// before it looks whether the row is there.
    fn of(shape: &Shape) -> Self {
        match shape.op {
            Op::Delete => Self::Delete,
            Op::Update => Self::Update,
            Op::Upsert if shape.lacking().next().is_some() => Self::Update,
            Op::Upsert => Self::Insert,
        }
    }
}

/// Nothing was written: fine for a delete, and for an upsert that only wants the row to be there.
fn refuse_silence(shape: &Shape, form: Form) -> Result<(), Error> {
    let table = &shape.table;
    match form {
        Form::Delete => Ok(()),
        Form::Insert if shape.set.is_empty() => Ok(()),
        Form::Update => {
            let lacking: Vec<&str> = shape.lacking().map(|column| &**column).collect();
            let needed = match (shape.op, &lacking[..]) {
                (Op::Upsert, [_, ..]) => {
                    format!(
                        ", and the event lacks what a new one needs: {}",
                        lacking.join(", ")
                    )
                }
                _ => String::new(),
            };
            let text = format!("{table} has no row with this key yet{needed}");
            Err(Error::new(ErrorKind::Conflict, text))
        }
        // `ON CONFLICT IGNORE` in the table's definition, or a trigger with `RAISE (IGNORE)`.
        Form::Insert => Err(Error::new(
            ErrorKind::Invalid,
            format!("{table} ignores the row without an error"),
        )),
    }
}

/// The statement of a shape, with a parameter for each value.
fn statement(shape: &Shape, form: Form) -> String {
    let table = Quoted(&shape.table);
    let found = || each(&shape.key, " AND ", |c| format!("{c} = ?"));
    match form {
        Form::Delete => format!("DELETE FROM {table} WHERE {}", found()),
        Form::Update => {
            let set = match &*shape.set {
                // Nothing is to be written, but the row must be there.
                [] => each(&shape.key[..1], ", ", |c| format!("{c} = {c}")),
                set => each(set, ", ", |c| format!("{c} = ?")),
            };
            format!("UPDATE {table} SET {set} WHERE {}", found())
        }
        Form::Insert => {
            let columns: Vec<_> = shape.key.iter().chain(&*shape.set).cloned().collect();
            let update = match &*shape.set {
                [] => "NOTHING".into(),
                set => {
                    let update = each(set, ", ", |c| format!("{c} = excluded.{c}"));
                    format!("UPDATE SET {update}")
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
            version: 1,
            key_number: 0,
            key: names(key),
            set: names(set),
            required: [].into(),
            op,
            ordered: false,
        }
    }

    fn written(shape: &Shape) -> String {
        statement(shape, Form::of(shape))
    }

    #[test]
    fn an_upsert_without_what_a_new_row_needs_only_updates() {
        let mut shape = shape(Op::Upsert, &["id"], &["title"]);
        shape.required = ["id".into(), "name".into()].into();
        assert_eq!(
            written(&shape),
            "UPDATE \"employees\" SET \"title\" = ? WHERE \"id\" = ?"
        );
    }

    #[test]
    fn each_op_has_one_statement() {
        let key = ["tenant_id", "user_id"];
        assert_eq!(
            written(&shape(Op::Upsert, &key, &["title", "odd\"name"])),
            "INSERT INTO \"employees\" (\"tenant_id\", \"user_id\", \"title\", \"odd\"\"name\") \
             VALUES (?, ?, ?, ?) ON CONFLICT (\"tenant_id\", \"user_id\") DO UPDATE SET \
             \"title\" = excluded.\"title\", \"odd\"\"name\" = excluded.\"odd\"\"name\""
        );
        assert_eq!(
            written(&shape(Op::Upsert, &["id"], &[])),
            "INSERT INTO \"employees\" (\"id\") VALUES (?) ON CONFLICT (\"id\") DO NOTHING"
        );
        assert_eq!(
            written(&shape(Op::Update, &key, &["title"])),
            "UPDATE \"employees\" SET \"title\" = ? WHERE \"tenant_id\" = ? AND \"user_id\" = ?"
        );
        assert_eq!(
            written(&shape(Op::Delete, &["id"], &[])),
            "DELETE FROM \"employees\" WHERE \"id\" = ?"
        );
    }
}
