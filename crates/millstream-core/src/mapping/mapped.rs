//! A checked mapping, and what it makes of an event.

use std::fmt;
use std::sync::Arc;

use super::coerce::{Mismatch, coerce};
use super::expression::Expression;
use super::path::Path;
use super::shapes::Shapes;
use super::view::View;
use crate::change::{Change, Op};
use crate::delivery::Reason;
use crate::value::{ColumnKind, Value};

/// A checked mapping.
#[derive(Debug)]
pub(super) struct Mapped {
    pub(super) table: Arc<str>,
    pub(super) when: Option<Expression>,
    pub(super) key: Vec<Binding>,
    pub(super) set: Vec<Binding>,
    pub(super) shapes: Shapes,
}

/// A column, and where its value comes from.
#[derive(Debug)]
pub(super) struct Binding {
    pub(super) column: Arc<str>,
    pub(super) kind: ColumnKind,
    pub(super) origin: Origin,
}

/// Where a value comes from.
#[derive(Debug)]
pub(super) enum Origin {
    Path(Path),
    /// Fits its column already.
    Constant(Value),
    Expression(Expression),
}

/// What a mapping makes of an event of its type.
pub(super) enum Effect {
    /// Its condition is false: as if it were not there.
    NotMeant,
    /// It applies, but the event has nothing for it.
    Nothing,
    Change(Change),
}

impl Mapped {
    pub(super) fn effect(&self, view: &View<'_>) -> Result<Effect, Reason> {
        if let Some(when) = &self.when {
            match when.is_true(view) {
                Ok(true) => {}
                Ok(false) => return Ok(Effect::NotMeant),
                Err(what) => {
                    let table = &self.table;
                    return Err(Reason::new(format!(
                        "the condition for {table} failed: {what}"
                    )));
                }
            }
        }
        let mut key = Vec::with_capacity(self.key.len());
        for binding in &self.key {
            key.push(self.key_value(binding, view)?);
        }
        let mut mask = 0;
        let mut set = Vec::with_capacity(self.set.len());
        for (position, binding) in self.set.iter().enumerate() {
            if let Some(value) = self.value(binding, view)? {
                mask |= 1 << position;
                set.push(value);
            }
        }
        if set.is_empty() && self.shapes.full().op == Op::Update {
            return Ok(Effect::Nothing);
        }
        Ok(Effect::Change(Change {
            shape: self.shapes.of(mask),
            key,
            set,
        }))
    }

    /// A row cannot be found by a value that is not there.
    fn key_value(&self, binding: &Binding, view: &View<'_>) -> Result<Value, Reason> {
        match self.value(binding, view)? {
            Some(Value::Null) => Err(self.reason(binding, "is part of the key, found null")),
            Some(value) => Ok(value),
            None => Err(self.reason(binding, "is part of the key, found nothing")),
        }
    }

    fn value(&self, binding: &Binding, view: &View<'_>) -> Result<Option<Value>, Reason> {
        let input = match &binding.origin {
            Origin::Constant(value) => return Ok(Some(value.clone())),
            Origin::Path(path) => view
                .read(path)
                .map_err(|found| Mismatch {
                    expected: binding.kind,
                    found,
                })
                .map_err(|mismatch| self.reason(binding, mismatch))?,
            Origin::Expression(expression) => expression.value(view).map_err(|what| {
                self.reason(
                    binding,
                    format_args!("has an expression that failed: {what}"),
                )
            })?,
        };
        input
            .map(|input| coerce(binding.kind, input))
            .transpose()
            .map_err(|mismatch| self.reason(binding, mismatch))
    }

    /// `employees.age takes a whole number, found text at data.age`
    fn reason(&self, binding: &Binding, what: impl fmt::Display) -> Reason {
        let Binding { column, origin, .. } = binding;
        let place = match origin {
            Origin::Path(path) => format!(" at {path}"),
            Origin::Constant(_) | Origin::Expression(_) => String::new(),
        };
        Reason::new(format!("{}.{column} {what}{place}", self.table))
    }
}
