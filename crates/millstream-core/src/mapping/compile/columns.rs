//! Columns of a mapping, and where their values come from.

use std::sync::Arc;

use super::check::Checker;
use crate::change::Op;
use crate::limits::IDENTIFIER_BYTES_MAX;
use crate::mapping::coerce::{Input, coerce};
use crate::mapping::expression::Expression;
use crate::mapping::mapped::{Binding, Origin};
use crate::mapping::path::Path;
use crate::mapping::problem::Part;
use crate::mapping::spec::{Spec, ValueSpec};
use crate::mapping::suggest;
use crate::store::{Column, Table};
use crate::value::{ColumnKind, Value};

/// Which list of a mapping a column is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Key,
    Set,
}

impl Side {
    fn part(self, column: &str) -> Part {
        match self {
            Self::Key => Part::Key(column.to_owned()),
            Self::Set => Part::Set(column.to_owned()),
        }
    }
}

/// Those bindings that are right. Values are checked even where the table is missing.
pub(super) fn bind(
    checker: &mut Checker<'_>,
    side: Side,
    list: &[(String, ValueSpec)],
    table_name: &str,
    table: Option<&Table>,
) -> Vec<Binding> {
    let mut bindings = Vec::with_capacity(list.len());
    for (name, value) in list {
        let part = side.part(name);
        let column = match table {
            Some(table) if checker.is_identifier(part.clone(), name) => {
                column(checker, &part, name, table_name, table)
            }
            _ => None,
        };
        if side == Side::Key && column.is_some_and(|column| column.bends) {
            checker.problem(
                part,
                format!(
                    "{table_name}.{name} may store different ids as equal ones, such as 7 and 007"
                ),
                Some(format!(
                    "declare `{name}` as TEXT, or as INTEGER if its ids are numbers"
                )),
            );
            continue;
        }
        let kind = column.map_or(ColumnKind::Any, |column| column.kind);
        let origin = origin(checker, side, name, value, kind);
        if let (Some(column), Some(origin)) = (column, origin) {
            bindings.push(Binding {
                column: Arc::clone(&column.name),
                kind,
                origin,
            });
        }
    }
    bindings
}

fn column<'a>(
    checker: &mut Checker<'_>,
    part: &Part,
    name: &str,
    table_name: &str,
    table: &'a Table,
) -> Option<&'a Column> {
    let Some(column) = table.columns.iter().find(|column| &*column.name == name) else {
        let known = table
            .columns
            .iter()
            .filter(|c| !c.generated)
            .map(|c| &*c.name);
        let help = suggest::help(&format!("columns of {table_name}"), name, known);
        checker.problem(
            part.clone(),
            format!("{table_name} has no column `{name}`"),
            help,
        );
        return None;
    };
    if column.generated {
        let message = format!("{table_name}.{name} is computed by the database");
        checker.problem(part.clone(), message, Some("leave it out".into()));
        return None;
    }
    Some(column)
}

fn origin(
    checker: &mut Checker<'_>,
    side: Side,
    column: &str,
    value: &ValueSpec,
    kind: ColumnKind,
) -> Option<Origin> {
    match value {
        ValueSpec::Path(path) => match Path::parse(path) {
            Ok(path) => return Some(Origin::Path(path)),
            Err(error) => checker.problem(side.part(column), error.message, error.help),
        },
        ValueSpec::Expression(source) => match Expression::compile(source) {
            Ok(expression) => return Some(Origin::Expression(expression)),
            Err(error) => checker.problem(side.part(column), error.message, error.help),
        },
        ValueSpec::Constant(constant) => {
            let json = constant.to_string();
            let fits = match Input::from_json(&json) {
                Ok(input) => coerce(kind, input).map_err(|mismatch| mismatch.to_string()),
                Err(found) => Err(format!("found {found}")),
            };
            match fits {
                Ok(Value::Null) if side == Side::Key => {
                    checker.problem(side.part(column), "a key cannot be null", None);
                }
                Ok(value) => return Some(Origin::Constant(value)),
                Err(what) => checker.problem(side.part(column), format!("`{column}` {what}"), None),
            }
        }
    }
    None
}

/// An upsert needs a key by which the database itself finds the row, and what an insert must have.
pub(super) fn check_upsert(checker: &mut Checker<'_>, spec: &Spec, table: &Table) {
    if spec.op != Op::Upsert {
        return;
    }
    let key: Vec<&str> = spec.key.iter().map(|(column, _)| column.as_str()).collect();
    let exists = |name: &&str| table.columns.iter().any(|column| *column.name == **name);
    let covers = |unique: &Vec<Arc<str>>| {
        unique.len() == key.len() && unique.iter().all(|column| key.contains(&&**column))
    };
    if !key.is_empty() && key.iter().all(exists) && !table.unique.iter().any(covers) {
        let (name, columns) = (&spec.table, key.join(", "));
        let index = format!("{name}_{}_key", key.join("_"));
        let index: String = index.chars().take(IDENTIFIER_BYTES_MAX).collect();
        checker.problem(
            Part::Whole,
            format!("{name} has no primary key or unique index on exactly ({columns})"),
            Some(format!(
                "CREATE UNIQUE INDEX {index} ON {name} ({columns});"
            )),
        );
    }
    let named = |column: &str| {
        spec.key
            .iter()
            .chain(&spec.set)
            .any(|(name, _)| name == column)
    };
    for column in table
        .columns
        .iter()
        .filter(|c| c.required && !c.generated && !named(&c.name))
    {
        let (table, column) = (&spec.table, &column.name);
        checker.problem(
            Part::Whole,
            format!("{table}.{column} is NOT NULL without a default, and not set"),
            Some(format!(
                "set `{column}`, give it a default, or use mode = \"update\""
            )),
        );
    }
}
