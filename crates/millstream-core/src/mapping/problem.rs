//! What is wrong with a mapping, for a person to mend.

use std::fmt;

/// Something wrong with a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which mapping, counted from 0.
    pub mapping: usize,
    /// Which part of it.
    pub part: Part,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The part of a mapping that a problem is in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The event type of this index in `on`.
    On(usize),
    /// `table`
    Table,
    /// This column in `key`.
    Key(String),
    /// This column in `set`.
    Set(String),
    /// `when`
    When,
    /// No single part.
    Whole,
}
