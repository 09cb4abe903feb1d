//! Mappings as configuration gives them.

use std::sync::Arc;

use crate::change::Op;

/// One mapping: which events change which rows of which table, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// Event types: exact ones, all below a prefix (`user.*`), or all (`*`).
    pub on: Vec<String>,
    /// The table.
    pub table: String,
    /// The columns that identify the row, and where their values come from.
    pub key: Vec<(String, ValueSpec)>,
    /// The columns that are written, and where their values come from.
    pub set: Vec<(String, ValueSpec)>,
    /// What is done to the row.
    pub op: Op,
    /// An expression that must be true for the mapping to apply. Always by default.
    pub when: Option<String>,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum ValueSpec {
    /// A place in the event: `entityId`, `data.address.city`, `data.tags.0`.
    Path(String),
    /// Always the same.
    Constant(serde_json::Value),
    /// What an expression (CEL) gives.
    Expression(String),
}

/// The tables that mappings name, each once, for the database to describe.
pub fn table_names(specs: &[Spec]) -> Vec<Arc<str>> {
    let mut names: Vec<Arc<str>> = specs
        .iter()
        .map(|spec| spec.table.as_str().into())
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}
