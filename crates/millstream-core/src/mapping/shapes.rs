//! Statements of a mapping, one for each set of columns that an event has.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use crate::change::Shape;
use crate::limits::SHAPES_MAX;

/// The full shape, and those of the masks that were met, so that equal ones are one allocation.
pub(super) struct Shapes {
    full: Arc<Shape>,
    full_mask: u64,
    partial: RwLock<HashMap<u64, Arc<Shape>>>,
}

impl Shapes {
    pub(super) fn new(full: Arc<Shape>) -> Self {
        let full_mask = (0..full.set.len()).fold(0, |mask, column| mask | 1 << column);
        Self {
            full,
            full_mask,
            partial: RwLock::default(),
        }
    }

    /// The shape with all columns.
    pub(super) fn full(&self) -> &Arc<Shape> {
        &self.full
    }

    /// The shape with those columns whose bit is set.
    pub(super) fn of(&self, mask: u64) -> Arc<Shape> {
        if mask == self.full_mask {
            return Arc::clone(&self.full);
        }
        // A panic cannot leave the map half-written, so a poisoned one is as good as any.
        let known = self.partial.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(shape) = known.get(&mask) {
            return Arc::clone(shape);
        }
        drop(known);
        let shape = Arc::new(self.partial_shape(mask));
        let mut known = self.partial.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() < SHAPES_MAX {
            return Arc::clone(known.entry(mask).or_insert(shape));
        }
        shape
    }

    fn partial_shape(&self, mask: u64) -> Shape {
        let full = &*self.full;
        let present =
            |(at, column): (usize, &Arc<str>)| (mask & 1 << at != 0).then(|| Arc::clone(column));
        Shape {
            table_number: full.table_number,
            table: Arc::clone(&full.table),
            version: full.version,
            key_number: full.key_number,
            key: Arc::clone(&full.key),
            set: full.set.iter().enumerate().filter_map(present).collect(),
            required: Arc::clone(&full.required),
            op: full.op,
            ordered: full.ordered,
        }
    }
}

impl fmt::Debug for Shapes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.full.fmt(f)
    }
}
