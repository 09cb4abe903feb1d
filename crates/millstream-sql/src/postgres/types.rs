//! The types of a table's columns, as whoever writes to them must know them.

use std::collections::HashMap;
use std::sync::Arc;

use tokio_postgres::GenericClient;

use millstream_core::error::{Error, ErrorKind};
use millstream_core::value::ColumnKind;

use crate::postgres::database::while_doing;
use crate::postgres::fitting::Fit;
use crate::postgres::tables::{kind, relation};

const INSTANT: &str = "timestamp with time zone";
const LOCAL: &str = "timestamp without time zone";

/// The columns of a table, as `columns`: a domain is what it is made of, an array its elements, and what
/// was declared of either is there.
pub(super) fn columns(table: &str) -> String {
    format!(
        "WITH RECURSIVE step AS (
           SELECT attnum, atttypid AS type, atttypmod AS modifier, false AS is_array FROM pg_attribute
           WHERE attrelid = {table} AND attnum > 0 AND NOT attisdropped
           UNION ALL
           SELECT attnum, CASE typtype WHEN 'd' THEN typbasetype ELSE typelem END,
                  CASE typtype WHEN 'd' THEN typtypmod ELSE modifier END, is_array OR typtype <> 'd'
           FROM step JOIN pg_type t ON t.oid = type
           WHERE typtype = 'd' OR EXISTS (SELECT 1 FROM pg_type e WHERE e.oid = t.typelem AND e.typarray = t.oid)
         ), columns AS (
           SELECT s.* FROM step s JOIN pg_type t ON t.oid = s.type
           WHERE typtype <> 'd'
             AND NOT EXISTS (SELECT 1 FROM pg_type e WHERE e.oid = t.typelem AND e.typarray = t.oid))"
    )
}

/// The types of a table's columns.
#[derive(Debug)]
pub(super) struct Types {
    table: Arc<str>,
    by_column: HashMap<String, Type>,
}

/// The type of a column.
#[derive(Debug)]
pub(super) struct Type {
    /// As it was declared.
    pub(super) declared: String,
    /// Of the values, or of the elements of arrays: without domains and declared lengths.
    base: String,
    /// The same with what was declared of it.
    modified: String,
    /// Whether the values are arrays.
    pub(super) is_array: bool,
    /// What values, or elements, are in the words of mappings.
    pub(super) kind: ColumnKind,
    /// What the server would bend in silence.
    pub(super) fit: Option<Fit>,
}

impl Types {
    pub(super) async fn read(db: &impl GenericClient, table: &Arc<str>) -> Result<Self, Error> {
        let sql = format!(
            "{} SELECT attname::text, format_type(type, -1), format_type(type, modifier), is_array,
                       format_type(atttypid, atttypmod)
             FROM columns JOIN pg_attribute a USING (attnum) WHERE attrelid = to_regclass($1::text)",
            columns("to_regclass($1::text)")
        );
        let rows = db
            .query(&sql, &[&relation(table)])
            .await
            .map_err(while_doing("read the types of columns"))?;
        if rows.is_empty() {
            let text = format!("there is no table {table}");
            return Err(Error::new(ErrorKind::Misconfigured, text));
        }
        let column = |row: &tokio_postgres::Row| {
            let found = Type::new(row.get(1), row.get(2), row.get(3), row.get(4));
            (row.get(0), found)
        };
        Ok(Self {
            table: table.clone(),
            by_column: rows.iter().map(column).collect(),
        })
    }

    #[cfg(test)]
    pub(super) fn fixed(columns: &[(&str, &str)]) -> Self {
        let own = |&(column, declared): &(&str, &str)| (column.to_owned(), Type::fixed(declared));
        Self {
            table: "employees".into(),
            by_column: columns.iter().map(own).collect(),
        }
    }

    pub(super) fn of(&self, column: &str) -> Result<&Type, Error> {
        self.by_column.get(column).ok_or_else(|| {
            let text = format!("table {} has no column {column}", self.table);
            Error::new(ErrorKind::Misconfigured, text)
        })
    }
}

impl Type {
    fn new(base: &str, modified: &str, is_array: bool, declared: &str) -> Self {
        Self {
            declared: declared.into(),
            base: base.into(),
            modified: modified.into(),
            is_array,
            kind: kind(base),
            fit: Fit::of(modified),
        }
    }

    #[cfg(test)]
    pub(super) fn fixed(declared: &str) -> Self {
        let element = declared.trim_end_matches("[]");
        let base = match element.split_once(['(', ')']) {
            Some((name, rest)) => {
                let rest = rest.split_once(')').unwrap_or_default().1;
                format!("{name}{rest}")
            }
            None => element.into(),
        };
        Self::new(&base, element, element != declared, declared)
    }

    /// A text as a value of the type. The cast leaves out what was declared of the type, and its domain:
    /// a cast to `varchar(3)` cuts where an assignment refuses.
    ///
    /// A type without a zone forgets the offset of its text; as an instant, the text is one of UTC, as our
    /// sessions are.
    pub(super) fn value(&self, text: &str) -> String {
        let Self { base, modified, .. } = self;
        let array = if self.is_array { "[]" } else { "" };
        match base.as_str() {
            LOCAL => format!("{text}::{INSTANT}{array}::{LOCAL}{array}"),
            // What a modifier leaves out of it only the server can tell.
            "interval" if base != modified => format!(
                "CASE WHEN {text}::{base}{array} = {text}::{modified}{array} THEN {text}::{base}{array} \
                 ELSE ({text} || ' is cut')::{base}{array} END"
            ),
            _ => format!("{text}::{base}{array}"),
        }
    }

    /// What it is called where a value does not fit.
    pub(super) fn name(&self) -> String {
        let Self {
            declared, modified, ..
        } = self;
        let array = if self.is_array { "[]" } else { "" };
        match *declared == format!("{modified}{array}") {
            true => declared.clone(),
            false => format!("{declared}, which is {modified}{array}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cast_to_the_type_without_its_length() {
        for (declared, expected) in [
            ("integer", "x::integer"),
            ("numeric(10,2)", "x::numeric"),
            ("character varying(3)[]", "x::character varying[]"),
            (
                "timestamp(0) without time zone",
                "x::timestamp with time zone::timestamp without time zone",
            ),
            (
                "timestamp without time zone[]",
                "x::timestamp with time zone[]::timestamp without time zone[]",
            ),
            ("timestamp(3) with time zone", "x::timestamp with time zone"),
            ("interval", "x::interval"),
            (
                "interval(0)",
                "CASE WHEN x::interval = x::interval(0) THEN x::interval \
                 ELSE (x || ' is cut')::interval END",
            ),
        ] {
            assert_eq!(Type::fixed(declared).value("x"), expected);
        }
    }

    #[test]
    fn a_domain_is_named_with_what_it_is() {
        let domain = Type::new("numeric", "numeric(10,2)", false, "money2");
        assert_eq!(domain.name(), "money2, which is numeric(10,2)");
        assert_eq!(Type::fixed("numeric(10,2)[]").name(), "numeric(10,2)[]");
    }
}
