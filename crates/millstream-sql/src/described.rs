//! Whether tables are what they were described as.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use millstream_core::change::Shape;
use millstream_core::delivery::{Content, Plan};
use millstream_core::error::{Error, ErrorKind};
use millstream_core::store::Batch;

/// The number that stands for how a table is declared.
pub(crate) fn version(declared: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    declared.hash(&mut hasher);
    hasher.finish()
}

/// A shape of each table that the changes of a batch were planned for. None of what is set aside, which
/// touches no table: whoever has locked it would be waited for.
pub(crate) fn planned(batch: &Batch) -> Vec<&Shape> {
    let mut shapes: Vec<&Shape> = Vec::new();
    if batch.set_aside.is_some() {
        return shapes;
    }
    for delivery in &*batch.deliveries {
        let Content::Event {
            plan: Plan::Apply { changes, .. },
            ..
        } = &delivery.content
        else {
            continue;
        };
        for change in changes {
            let known = |shape: &&Shape| {
                (shape.table_number, shape.version)
                    == (change.shape.table_number, change.shape.version)
            };
            if !shapes.iter().any(known) {
                shapes.push(&change.shape);
            }
        }
    }
    shapes
}

/// Whether the table of a shape is what the shape was made for.
///
/// # Errors
///
/// [`Outdated`](ErrorKind::Outdated) if it is not.
pub(crate) fn compare(shape: &Shape, version: u64) -> Result<(), Error> {
    if shape.version == version {
        return Ok(());
    }
    let text = format!(
        "table {} was altered, and is to be described again",
        shape.table
    );
    Err(Error::new(ErrorKind::Outdated, text))
}
