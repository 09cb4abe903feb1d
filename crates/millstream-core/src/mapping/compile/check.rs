//! What must be true of one mapping.

use std::collections::HashMap;
use std::sync::Arc;

use super::columns::{self, Side};
use crate::change::Op;
use crate::limits::{IDENTIFIER_BYTES_MAX, MAPPED_COLUMNS_MAX};
use crate::mapping::expression::Expression;
use crate::mapping::mapped::Binding;
use crate::mapping::problem::{Part, Problem};
use crate::mapping::spec::Spec;
use crate::mapping::suggest;
use crate::name::EventType;
use crate::store::Table;

/// A mapping that is right.
pub(super) struct Checked {
    pub(super) table: Arc<str>,
    pub(super) op: Op,
    pub(super) when: Option<Expression>,
    pub(super) key: Vec<Binding>,
    pub(super) set: Vec<Binding>,
}

/// Collects what is wrong with all mappings.
pub(super) struct Checker<'a> {
    tables: &'a HashMap<Arc<str>, Table>,
    mapping: usize,
    pub(super) problems: Vec<Problem>,
}

impl<'a> Checker<'a> {
    pub(super) fn new(tables: &'a HashMap<Arc<str>, Table>) -> Self {
        Self {
            tables,
            mapping: 0,
            problems: Vec::new(),
        }
    }

    pub(super) fn problem(&mut self, part: Part, message: impl Into<String>, help: Option<String>) {
        let mapping = self.mapping;
        self.problems.push(Problem {
            mapping,
            part,
            message: message.into(),
            help,
        });
    }

    /// The mapping, if it is right; else problems were added.
    pub(super) fn check(&mut self, number: usize, spec: &Spec) -> Option<Checked> {
        self.mapping = number;
        let before = self.problems.len();
        self.check_on(&spec.on);
        self.check_columns(spec);
        let table = self.table(&spec.table);
        let key = columns::bind(self, Side::Key, &spec.key, &spec.table, table);
        let set = columns::bind(self, Side::Set, &spec.set, &spec.table, table);
        if let Some(table) = table {
            columns::check_upsert(self, spec, table);
        }
        let when = self.when(spec.when.as_deref());
        if self.problems.len() > before {
            return None;
        }
        let mut key = key;
        // In the order of the table, so that two mappings with the same key have the same list.
        let position = |column: &Arc<str>| {
            table.and_then(|table| table.columns.iter().position(|c| c.name == *column))
        };
        key.sort_by_key(|binding| position(&binding.column));
        Some(Checked {
            table: spec.table.as_str().into(),
            op: spec.op,
            when,
            key,
            set,
        })
    }

    fn check_on(&mut self, on: &[String]) {
        if on.is_empty() {
            self.problem(
                Part::Whole,
                "it names no event type",
                Some("on = \"user.created\"".into()),
            );
        }
        for (index, pattern) in on.iter().enumerate() {
            let name = match pattern.strip_suffix('*') {
                Some("") => continue,
                Some(prefix) => prefix.strip_suffix('.').unwrap_or_default(),
                None => pattern,
            };
            if name.contains('*') || EventType::new(name).is_err() {
                self.problem(
                    Part::On(index),
                    format!("`{pattern}` is no event type"),
                    Some("a type such as `user.created`, all below one as `user.*`, or `*`".into()),
                );
            }
        }
    }

    /// What the lists of columns must be, whatever the table is.
    fn check_columns(&mut self, spec: &Spec) {
        if spec.key.is_empty() {
            let help = "key = { tenant_id = \"tenantId\", user_id = \"entityId\" }";
            self.problem(Part::Whole, "it has no key", Some(help.into()));
        }
        match spec.op {
            Op::Delete if !spec.set.is_empty() => {
                self.problem(Part::Whole, "it deletes rows, and sets columns", None);
            }
            Op::Update if spec.set.is_empty() => {
                self.problem(Part::Whole, "it updates rows, but sets no column", None);
            }
            _ => {}
        }
        if spec.set.len() > MAPPED_COLUMNS_MAX {
            let found = spec.set.len();
            self.problem(
                Part::Whole,
                format!("it sets {found} columns, at most {MAPPED_COLUMNS_MAX} are allowed"),
                Some("two mappings of the same event and key may share the columns".into()),
            );
        }
        for (at, (column, _)) in spec.key.iter().enumerate() {
            if spec.key[..at].iter().any(|(other, _)| other == column) {
                self.problem(
                    Part::Key(column.clone()),
                    format!("`{column}` is in the key twice"),
                    None,
                );
            }
        }
        for (at, (column, _)) in spec.set.iter().enumerate() {
            if spec.set[..at].iter().any(|(other, _)| other == column) {
                self.problem(
                    Part::Set(column.clone()),
                    format!("`{column}` is set twice"),
                    None,
                );
            }
            if spec.key.iter().any(|(other, _)| other == column) {
                self.problem(
                    Part::Set(column.clone()),
                    format!("`{column}` is in the key, and set"),
                    Some("the key is written with the row: leave it out of `set`".into()),
                );
            }
        }
    }

    fn table(&mut self, name: &str) -> Option<&'a Table> {
        if !self.is_identifier(Part::Table, name) {
            return None;
        }
        let table = self.tables.get(name);
        if table.is_none() {
            let mut known: Vec<&str> = self.tables.keys().map(|name| &**name).collect();
            known.sort_unstable();
            let help = suggest::help("tables that were found", name, known.into_iter());
            self.problem(Part::Table, format!("table `{name}` does not exist"), help);
        }
        table
    }

    /// Names are written into statements: nothing that would need quoting gets through.
    pub(super) fn is_identifier(&mut self, part: Part, name: &str) -> bool {
        let mut bytes = name.bytes();
        let first = bytes
            .next()
            .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
        if !first || !bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            let help = "letters without accents, digits and _, beginning with no digit";
            self.problem(
                part,
                format!("`{name}` is not a usable name"),
                Some(help.into()),
            );
            return false;
        }
        if name.len() > IDENTIFIER_BYTES_MAX {
            let bytes = name.len();
            let message =
                format!("`{name}` has {bytes} bytes, at most {IDENTIFIER_BYTES_MAX} are allowed");
            self.problem(part, message, None);
            return false;
        }
        true
    }

    fn when(&mut self, source: Option<&str>) -> Option<Expression> {
        match Expression::compile(source?) {
            Ok(expression) => Some(expression),
            Err(error) => {
                self.problem(Part::When, error.message, error.help);
                None
            }
        }
    }
}
