//! One statement that changes every row of a captured table.

mod place;
mod proof;

pub(crate) use proof::{Captured, captured};
