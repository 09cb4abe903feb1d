//! What an event does to rows.

use std::sync::Arc;

use crate::value::Value;

/// What is done to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// Insert it, or update the columns that the event carries.
    Upsert,
    /// Update it; it must exist.
    Update,
    /// Delete it, if it is there.
    Delete,
}

/// What all changes of one statement have in common: everything but the values.
///
/// Shapes come from validated configuration alone, never from an event.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// The table's number among the mapped ones; equal numbers are the same table.
    pub table_number: u16,
    /// The table.
    pub table: Arc<str>,
    /// The table as it was described: see [`Table`](crate::store::Table).
    pub version: u64,
    /// The number of this set of key columns among the mapped ones.
    pub key_number: u16,
    /// The columns that identify the row, in order.
    pub key: Arc<[Arc<str>]>,
    /// The columns that are written, in order. Empty for a delete.
    pub set: Arc<[Arc<str>]>,
    /// The columns of the table that an insert must name.
    pub required: Arc<[Arc<str>]>,
    /// What is done.
    pub op: Op,
    /// Whether the order against changes of other rows and tables matters: see [`fold`](crate::fold).
    pub ordered: bool,
}

impl Shape {
    /// The columns that a new row needs and this shape does not name: with any, only a row that
    /// exists can be updated.
    pub fn lacking(&self) -> impl Iterator<Item = &Arc<str>> {
        let named = |column| self.key.contains(column) || self.set.contains(column);
        self.required.iter().filter(move |&column| !named(column))
    }
}

/// One row-level effect of an event.
#[derive(Debug, Clone)]
pub struct Change {
    /// Which statement.
    pub shape: Arc<Shape>,
    /// Values of the key columns, in the order of the shape.
    pub key: Vec<Value>,
    /// Values of the written columns, in the order of the shape.
    pub set: Vec<Value>,
}
