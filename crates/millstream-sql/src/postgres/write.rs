//! Statements for the application's own tables.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use deadpool_postgres::Transaction;
use tokio_postgres::types::ToSql;

use millstream_core::change::{Change, Op, Shape};
use millstream_core::error::{Error, ErrorKind};
use millstream_core::fold::Set;
use millstream_core::value::Value;

use crate::identifier::Quoted;
use crate::postgres::database::{Database, while_doing};
use crate::postgres::error::{describe, from_postgres, kind};
use crate::postgres::literal::literal;
use crate::postgres::tables::relation;
use crate::postgres::types::{Type, Types};

/// Writes a set by one statement, whatever its size: each column is one array of texts, which the
/// server reads as values of the column's own type.
///
/// # Errors
///
/// That of any row that failed. [`Conflict`](ErrorKind::Conflict) when a row to be updated is not
/// there.
pub(super) async fn write(db: &Database, tx: &Transaction<'_>, set: &Set<'_>) -> Result<(), Error> {
    let shape = set.shape;
    let form = Form::of(shape);
    let types = db.types(tx, &shape.table).await?;
    let failed = |error| from_postgres(&error, format!("write to {}", shape.table));
    let sql = statement(shape, form, &types)?;
    let statement = tx.prepare_cached(&sql).await.map_err(failed)?;
    // A join may take the rows of an update in any order.
    let rows_max = match form {
        Form::Update if shape.ordered => 1,
        _ => set.rows.len(),
    };
    for rows in set.rows.chunks(rows_max.max(1)) {
        let mut columns: Vec<Vec<Option<Cow<'_, str>>>> = Vec::new();
        for (at, column) in shape.key.iter().chain(&*shape.set).enumerate() {
            let column_type = types.of(column)?;
            let texts = rows
                .iter()
                .map(|row| literal(value_at(row, at), column_type))
                .collect::<Result<_, _>>();
            columns.push(texts.map_err(|wrong| misfit(shape, column, column_type, &wrong))?);
        }
        let parameters: Vec<&(dyn ToSql + Sync)> = columns
            .iter()
            .map(|column| column as &(dyn ToSql + Sync))
            .collect();
        let changed = tx.execute(&statement, &parameters).await.map_err(failed)?;
        if changed < rows.len() as u64 {
            refuse_silence(shape, form)?;
        }
    }
    Ok(())
}

/// Says which value of these changes does not fit its column, once a statement has said that one does
/// not. The transaction is as it was before.
pub(super) async fn misfitting(
    db: &Database,
    tx: &Transaction<'_>,
    changes: &[Change],
) -> Result<Option<Error>, Error> {
    let failed = while_doing("look for a value that does not fit");
    for change in changes {
        let shape = &change.shape;
        let types = db.types(tx, &shape.table).await?;
        for (at, column) in shape.key.iter().chain(&*shape.set).enumerate() {
            let column_type = types.of(column)?;
            let text = match literal(value_at(change, at), column_type) {
                Ok(text) => text,
                Err(wrong) => return Ok(Some(misfit(shape, column, column_type, &wrong))),
            };
            tx.batch_execute("SAVEPOINT millstream_value")
                .await
                .map_err(failed)?;
            let value = column_type.value("$1::text");
            let declared = &column_type.declared;
            let sql = format!("SELECT ({value})::text <> ({value})::{declared}::text");
            let cut = tx.query_one(&sql, &[&text]).await;
            tx.batch_execute("ROLLBACK TO millstream_value; RELEASE millstream_value")
                .await
                .map_err(failed)?;
            let wrong = match cut {
                // What is left of others is looked at before.
                Ok(row)
                    if column_type.fit.is_none() && row.get::<_, Option<bool>>(0) == Some(true) =>
                {
                    "it is too long".into()
                }
                Err(error) if kind(&error) == ErrorKind::Invalid => {
                    error.as_db_error().map(describe).unwrap_or_default()
                }
                _ => continue,
            };
            return Ok(Some(misfit(shape, column, column_type, &wrong)));
        }
    }
    Ok(None)
}

fn misfit(shape: &Shape, column: &str, column_type: &Type, wrong: &str) -> Error {
    let name = column_type.name();
    let wrong = wrong.strip_prefix("takes ").unwrap_or(wrong);
    let text = format!("{}.{column} takes {name}: {wrong}", shape.table);
    Error::new(ErrorKind::Invalid, text)
}

fn value_at(change: &Change, at: usize) -> &Value {
    match at.checked_sub(change.key.len()) {
        Some(at) => &change.set[at],
        None => &change.key[at],
    }
}

/// The statement that writes a shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Insert,
    Update,
    Delete,
}

impl Form {
    /// An upsert that lacks what a new row needs can only find a row: NOT NULL is looked at before
    /// whether the row is there.
    fn of(shape: &Shape) -> Self {
        match shape.op {
            Op::Delete => Self::Delete,
            Op::Update => Self::Update,
            Op::Upsert if shape.lacking().next().is_some() => Self::Update,
            Op::Upsert => Self::Insert,
        }
    }
}

/// Less was written than there is: fine for a delete, and for an upsert that only wants rows to be
/// there.
fn refuse_silence(shape: &Shape, form: Form) -> Result<(), Error> {
    let table = &shape.table;
    match form {
        Form::Delete => Ok(()),
        Form::Insert if shape.set.is_empty() => Ok(()),
        Form::Update => {
            let lacking: Vec<&str> = shape.lacking().map(|column| &**column).collect();
            let needed = match (shape.op, &lacking[..]) {
                (Op::Upsert, [_, ..]) => format!(
                    ", and the event lacks what a new one needs: {}",
                    lacking.join(", ")
                ),
                _ => String::new(),
            };
            let text = format!("{table} has no row with this key yet{needed}");
            Err(Error::new(ErrorKind::Conflict, text))
        }
        // A trigger that returns no row, or a rule.
        Form::Insert => Err(Error::new(
            ErrorKind::Invalid,
            format!("{table} ignores the row without an error"),
        )),
    }
}

/// The statement of a shape, with an array of texts for each column: first those of the key.
fn statement(shape: &Shape, form: Form, types: &Types) -> Result<String, Error> {
    let table = relation(&shape.table);
    let columns: Vec<&Arc<str>> = shape.key.iter().chain(&*shape.set).collect();
    let mut arrays = String::new();
    let mut names = String::new();
    let mut values = Vec::with_capacity(columns.len());
    for (number, column) in (1..).zip(&columns) {
        let comma = if number > 1 { ", " } else { "" };
        write!(arrays, "{comma}${number}::text[]").expect("a string takes everything");
        write!(names, "{comma}c{number}").expect("a string takes everything");
        values.push(types.of(column)?.value(&format!("v.c{number}")));
    }
    let (key, set) = values.split_at(shape.key.len());
    let from = format!("unnest({arrays}) AS v ({names})");
    let assigned = |columns: &[Arc<str>], values: &[String], before: &str, between: &str| {
        let pairs = columns.iter().zip(values);
        let pairs = pairs.map(|(column, value)| format!("{before}{} = {value}", Quoted(column)));
        pairs.collect::<Vec<_>>().join(between)
    };
    let found = assigned(&shape.key, key, "t.", " AND ");
    Ok(match form {
        Form::Delete => format!("DELETE FROM {table} AS t USING {from} WHERE {found}"),
        Form::Update => {
            let set = match &*shape.set {
                // Nothing is to be written, but the row must be there.
                [] => format!("{0} = t.{0}", Quoted(&shape.key[0])),
                columns => assigned(columns, set, "", ", "),
            };
            format!("UPDATE {table} AS t SET {set} FROM {from} WHERE {found}")
        }
        Form::Insert => {
            let quoted = |columns: &[Arc<str>]| {
                let names: Vec<_> = columns.iter().map(|c| Quoted(c).to_string()).collect();
                names.join(", ")
            };
            let update = match &*shape.set {
                [] => "NOTHING".into(),
                columns => {
                    let excluded: Vec<_> = columns
                        .iter()
                        .map(|column| format!("excluded.{}", Quoted(column)))
                        .collect();
                    format!("UPDATE SET {}", assigned(columns, &excluded, "", ", "))
                }
            };
            let all: Vec<Arc<str>> = columns.into_iter().cloned().collect();
            format!(
                "INSERT INTO {table} ({}) SELECT {} FROM {from} ON CONFLICT ({}) DO {update}",
                quoted(&all),
                values.join(", "),
                quoted(&shape.key),
            )
        }
    })
}

#[cfg(test)]
mod tests;
