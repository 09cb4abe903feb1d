//! How events become changes of rows.
//!
//! Configuration gives [`Spec`]s; [`compile`](fn@compile) checks them against the tables as they
//! are, once, and makes a [`Router`], which then plans each event as a pure function of that event.
//! Only an expression that makes a list of an object's members is not: it meets them in no order.
//!
//! A value is a path into the event, a constant, or an expression (CEL). A path that the event does
//! not have leaves its column alone, an explicit null writes NULL, and nothing that does not fit a
//! column is bent until it does: see [`coerce`](fn@coerce).

mod coerce;
mod compile;
mod expression;
mod mapped;
mod path;
mod problem;
mod router;
mod shapes;
mod spec;
mod suggest;
mod view;

#[cfg(test)]
mod tests;

pub use coerce::{Input, Mismatch, coerce};
pub use compile::compile;
pub use problem::{Part, Problem};
pub use router::Router;
pub use spec::{Spec, ValueSpec, table_names};
