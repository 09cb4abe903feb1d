//! Many changes in, few statements out, the same rows in the end.
//!
//! A batch often changes the same row many times, and the same columns of many rows. Folding keeps
//! the last values per row and column set, and groups what is left by statement, so that a database
//! can write each group at once.
//!
//! Two rules keep the outcome that of one change after another:
//!
//! - A change is merged into an earlier one of its row only if everything between them on that row
//!   commutes with it: writes of other columns do, a delete or a write of the same columns does not.
//!   What is not merged goes into a later *wave*; waves are written in order.
//! - Where a change of one row may reach another (triggers, foreign keys, several ways to name a
//!   row), [`Shape::ordered`] is set: such changes are never merged, and keep their order.
//!
//! Intermediate values are not written: a trigger sees the last value of a batch, and a value that a
//! later event of the same batch replaced is not held against its constraints.

use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::change::{Change, Op, Shape};
use crate::value::Value;

/// Changes of one shape, each of a different row.
#[derive(Debug)]
pub struct Set<'a> {
    /// Which statement.
    pub shape: &'a Arc<Shape>,
    /// The rows, in the order of their first change.
    pub rows: Vec<&'a Change>,
}

/// Folds changes, given in the order of their events, into sets to be written in order.
pub fn fold<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Vec<Set<'a>> {
    let mut waves = Waves::default();
    let mut line = Line::default();
    for change in changes {
        if change.shape.ordered {
            line.push(change);
        } else {
            waves.push(change);
        }
    }
    let mut sets = waves.into_sets();
    sets.append(&mut line.sets);
    sets
}

/// Changes whose order against other rows matters: consecutive ones share a set, no more.
#[derive(Default)]
struct Line<'a> {
    sets: Vec<Set<'a>>,
    /// The rows of the last set: one statement cannot write a row twice.
    rows: HashSet<RowKey<'a>>,
}

impl<'a> Line<'a> {
    fn push(&mut self, change: &'a Change) {
        let row = RowKey::of(change);
        match self.sets.last_mut() {
            Some(set) if same(set.shape, &change.shape) && !self.rows.contains(&row) => {
                set.rows.push(change);
            }
            _ => {
                self.rows.clear();
                self.sets.push(Set {
                    shape: &change.shape,
                    rows: vec![change],
                });
            }
        }
        self.rows.insert(row);
    }
}

/// Changes that depend on nothing but their own row.
#[derive(Default)]
struct Waves<'a> {
    sets: Vec<(usize, Set<'a>)>,
    by_shape: HashMap<(*const Shape, usize), usize>,
    by_row: HashMap<RowKey<'a>, Vec<Written>>,
}

/// Where a change of a row stands: which set, which row in it.
struct Written {
    set: usize,
    row: usize,
}

impl<'a> Waves<'a> {
    fn push(&mut self, change: &'a Change) {
        let history = self.by_row.entry(RowKey::of(change)).or_default();
        for earlier in history.iter().rev() {
            let set = &mut self.sets[earlier.set].1;
            if same(set.shape, &change.shape) {
                set.rows[earlier.row] = change;
                return;
            }
            if !commute(set.shape, &change.shape) {
                break;
            }
        }

        // Also what commutes goes behind the row's last change: the first one may create the row.
        let wave = history.last().map_or(0, |last| self.sets[last.set].0 + 1);
        let shape = &change.shape;
        let set = *self
            .by_shape
            .entry((Arc::as_ptr(shape), wave))
            .or_insert_with(|| {
                self.sets.push((
                    wave,
                    Set {
                        shape,
                        rows: Vec::new(),
                    },
                ));
                self.sets.len() - 1
            });
        let rows = &mut self.sets[set].1.rows;
        history.push(Written {
            set,
            row: rows.len(),
        });
        rows.push(change);
    }

    fn into_sets(mut self) -> Vec<Set<'a>> {
        self.sets.sort_by_key(|&(wave, _)| wave);
        self.sets.into_iter().map(|(_, set)| set).collect()
    }
}

fn same(a: &Arc<Shape>, b: &Arc<Shape>) -> bool {
    Arc::ptr_eq(a, b)
}

/// An update does not commute with an upsert, which may be what makes the row.
fn commute(a: &Shape, b: &Shape) -> bool {
    a.op == b.op && a.op != Op::Delete && !a.set.iter().any(|column| b.set.contains(column))
}

/// A row by its table, the columns that name it, and their values byte for byte.
struct RowKey<'a> {
    table: u16,
    columns: u16,
    values: &'a [Value],
}

impl<'a> RowKey<'a> {
    fn of(change: &'a Change) -> Self {
        Self {
            table: change.shape.table_number,
            columns: change.shape.key_number,
            values: &change.key,
        }
    }
}

impl PartialEq for RowKey<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.table == other.table
            && self.columns == other.columns
            && self.values.len() == other.values.len()
            && self
                .values
                .iter()
                .zip(other.values)
                .all(|(a, b)| match (a, b) {
                    (Value::Real(a), Value::Real(b)) => a.to_bits() == b.to_bits(),
                    _ => a == b,
                })
    }
}

impl Eq for RowKey<'_> {}

impl Hash for RowKey<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.table.hash(state);
        self.columns.hash(state);
        for value in self.values {
            match value {
                Value::Null => 0u8.hash(state),
                Value::Bool(value) => value.hash(state),
                Value::Integer(value) => value.hash(state),
                Value::Real(value) => value.to_bits().hash(state),
                Value::Number(value) | Value::Text(value) | Value::Json(value) => value.hash(state),
                Value::Blob(value) => value.hash(state),
            }
        }
    }
}

#[cfg(test)]
mod tests;
