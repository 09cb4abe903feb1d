//! One history from PostgreSQL into databases of three kinds, while their servers and all processes die.

mod check;
mod eyes;
mod proof;
mod site;
mod stage;
mod victims;

pub(crate) use eyes::{Eyes, connect};
pub(crate) use proof::{Databases, databases};
pub(crate) use site::runtime;
