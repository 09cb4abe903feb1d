//! Statements for the application's own tables.

use std::sync::Arc;

use mysql_async::Value as Bound;

use millstream_core::change::{Change, Op, Shape};
use millstream_core::error::{Error, ErrorKind};
use millstream_core::fold::Set;
use millstream_core::value::Value;

use crate::identifier::Backticked;
use crate::mysql::error::{DUPLICATE_ENTRY, from_mysql, number};
use crate::mysql::fitting::{self, Fits};
use crate::mysql::session::Session;

/// Writes a set: all rows at once, or one after another where one may be in another's way and nothing
/// would tell.
///
/// # Errors
///
/// That of a row that failed. [`Conflict`](ErrorKind::Conflict) when a row to be updated is not there.
pub(super) async fn write(
    session: &mut Session,
    fits: Option<&Fits>,
    set: &Set<'_>,
) -> Result<(), Error> {
    let shape = set.shape;
    let form = Form::of(shape);
    let guarded = shape.ordered
        && form == Form::Insert
        && set.rows.len() > 1
        && fits.is_some_and(|fits| fits.only_folds);
    if shape.ordered && !guarded {
        for row in &set.rows {
            write_one(session, fits, shape, form, row).await?;
        }
        return Ok(());
    }
    let doing = doing(shape);
    let rows = set.rows.iter().map(|row| {
        let Bind { key, set } = Bind::row(fits, shape, row)?;
        Ok(match form {
            Form::Insert => [key, set].concat(),
            Form::Delete => key,
            Form::Update => [set, key].concat(),
        })
    });
    let rows = rows.collect::<Result<_, Error>>()?;
    match form {
        Form::Insert => {
            let tail = match guarded {
                true => guarded_tail(shape),
                false => insert_tail(shape),
            };
            session
                .insert(&doing, &insert_head(shape), &tail, rows)
                .await
        }
        Form::Delete => {
            let sql = format!("DELETE FROM {} WHERE {}", table(shape), found(shape, ""));
            session.batch(&doing, &sql, rows).await.map(drop)
        }
        Form::Update => {
            let sql = format!("{} WHERE {}", update(shape), found(shape, ""));
            match session.batch(&doing, &sql, rows).await? < set.rows.len() as u64 {
                true => Err(not_there(shape)),
                false => Ok(()),
            }
        }
    }
}

/// Writes a row where the table has several unique keys, or keys that take different texts for equal.
///
/// `ON DUPLICATE KEY UPDATE` would update whichever row has one of the unique values: here a value that
/// another row has is an error, as it should be.
async fn write_one(
    session: &mut Session,
    fits: Option<&Fits>,
    shape: &Shape,
    form: Form,
    row: &Change,
) -> Result<(), Error> {
    let doing = doing(shape);
    let exact = exactly(session, shape, &row.key);
    let found = found(shape, &exact);
    let Bind { key, set } = Bind::row(fits, shape, row)?;
    let new = [key.clone(), set.clone()].concat();
    let texts = key.iter().zip(&row.key).filter(|(_, value)| is_text(value));
    let texts: Vec<Bound> = texts.map(|(bound, _)| bound.clone()).collect();
    let key = [key, texts].concat();
    if form == Form::Delete {
        let sql = format!("DELETE FROM {} WHERE {found}", table(shape));
        return session.run(&doing, &sql, key).await.map(drop);
    }
    let sql = format!("{} WHERE {found}", update(shape));
    let values = [set, key].concat();
    if session.run(&doing, &sql, values.clone()).await? > 0 {
        return Ok(());
    }
    if form == Form::Update {
        return Err(not_there(shape));
    }
    let columns = shape.key.len() + shape.set.len();
    let insert = format!(
        "{} VALUES ({})",
        insert_head(shape),
        vec!["?"; columns].join(", ")
    );
    match session.try_run(&insert, new).await {
        Ok(_) => Ok(()),
        // The application may have made the row meanwhile.
        Err(error) if number(&error) == Some(DUPLICATE_ENTRY) => {
            match session.run(&doing, &sql, values).await? {
                0 => Err(from_mysql(error, doing)),
                _ => Ok(()),
            }
        }
        Err(error) => Err(from_mysql(error, doing)),
    }
}

/// The values of a row as they are bound.
struct Bind {
    key: Vec<Bound>,
    set: Vec<Bound>,
}

impl Bind {
    fn row(fits: Option<&Fits>, shape: &Shape, row: &Change) -> Result<Self, Error> {
        let bind = |columns, values| fitting::bind(&shape.table, fits, columns, values);
        Ok(Self {
            key: bind(&shape.key, &row.key)?,
            set: bind(&shape.set, &row.set)?,
        })
    }
}

/// The statement that writes a shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Makes the row or changes it.
    Insert,
    /// Changes the row, which must be there.
    Update,
    /// Removes the row if it is there.
    Delete,
}

impl Form {
    /// An upsert that lacks what a new row needs can only find a row.
    fn of(shape: &Shape) -> Self {
        match shape.op {
            Op::Delete => Self::Delete,
            Op::Update => Self::Update,
            Op::Upsert if shape.lacking().next().is_some() => Self::Update,
            Op::Upsert => Self::Insert,
        }
    }
}

fn not_there(shape: &Shape) -> Error {
    let lacking: Vec<&str> = shape.lacking().map(|column| &**column).collect();
    let needed = match (shape.op, &lacking[..]) {
        (Op::Upsert, [_, ..]) => format!(
            ", and the event lacks what a new one needs: {}",
            lacking.join(", ")
        ),
        _ => String::new(),
    };
    let table = &shape.table;
    let text = format!("{table} has no row with this key yet{needed}");
    Error::new(ErrorKind::Conflict, text)
}

fn doing(shape: &Shape) -> String {
    format!("write to {}", shape.table)
}

fn table(shape: &Shape) -> Backticked<'_> {
    Backticked(&shape.table)
}

/// The condition that finds the row, and what else it must fulfil.
fn found(shape: &Shape, exact: &str) -> String {
    each(&shape.key, " AND ", |c| format!("{c} = ?")) + exact
}

/// Compares texts once more, byte for byte, beside the comparison that an index knows.
fn exactly(session: &Session, shape: &Shape, key: &[Value]) -> String {
    let collation = session.flavour().binary_collation();
    let texts = shape
        .key
        .iter()
        .zip(key)
        .filter(|(_, value)| is_text(value));
    texts
        .map(|(column, _)| {
            let column = Backticked(column);
            format!(" AND {column} = convert(? USING utf8mb4) COLLATE {collation}")
        })
        .collect()
}

fn is_text(value: &Value) -> bool {
    matches!(value, Value::Text(_))
}

fn update(shape: &Shape) -> String {
    let set = match &*shape.set {
        // Nothing is to be written, but the row must be there.
        [] => each(&shape.key[..1], ", ", |c| format!("{c} = {c}")),
        set => each(set, ", ", |c| format!("{c} = ?")),
    };
    format!("UPDATE {} SET {set}", table(shape))
}

fn insert_head(shape: &Shape) -> String {
    let columns: Vec<_> = shape.key.iter().chain(&*shape.set).cloned().collect();
    let columns = each(&columns, ", ", |c| c.to_string());
    format!("INSERT INTO {} ({columns})", table(shape))
}

fn insert_tail(shape: &Shape) -> String {
    let update = match &*shape.set {
        [] => each(&shape.key[..1], ", ", |c| format!("{c} = {c}")),
        set => each(set, ", ", |c| format!("{c} = VALUES({c})")),
    };
    format!("ON DUPLICATE KEY UPDATE {update}")
}

/// The same for a table whose key takes different texts for equal: a row whose key has other bytes is an
/// error, after which the events are tried one by one.
fn guarded_tail(shape: &Shape) -> String {
    let same = each(&shape.key, " AND ", |c| {
        format!("CAST({c} AS BINARY) <=> CAST(VALUES({c}) AS BINARY)")
    });
    let key = Backticked(&shape.key[0]);
    // No double is as large as that; a constant would be worked out before any row is looked at.
    let guard = format!("{key} = IF({same}, {key}, EXP(710 + CHAR_LENGTH({key})))");
    let set = each(&shape.set, ", ", |c| format!("{c} = VALUES({c})"));
    match shape.set.is_empty() {
        true => format!("ON DUPLICATE KEY UPDATE {guard}"),
        false => format!("ON DUPLICATE KEY UPDATE {guard}, {set}"),
    }
}

fn each(columns: &[Arc<str>], between: &str, form: impl Fn(Backticked<'_>) -> String) -> String {
    columns
        .iter()
        .map(|column| form(Backticked(column)))
        .collect::<Vec<_>>()
        .join(between)
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

    #[test]
    fn each_op_has_one_statement() {
        let key = ["tenant_id", "user_id"];
        let upsert = shape(Op::Upsert, &key, &["title", "odd`name"]);
        assert_eq!(
            insert_head(&upsert),
            "INSERT INTO `employees` (`tenant_id`, `user_id`, `title`, `odd``name`)"
        );
        assert_eq!(
            insert_tail(&upsert),
            "ON DUPLICATE KEY UPDATE `title` = VALUES(`title`), `odd``name` = VALUES(`odd``name`)"
        );
        let bare = shape(Op::Upsert, &["id"], &[]);
        assert_eq!(insert_tail(&bare), "ON DUPLICATE KEY UPDATE `id` = `id`");
        assert_eq!(update(&bare), "UPDATE `employees` SET `id` = `id`");
        assert_eq!(found(&upsert, ""), "`tenant_id` = ? AND `user_id` = ?");
    }
}
