//! Values on their way into a column.

use std::fmt;

/// A value as it will be bound to a statement.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// SQL NULL, from an explicit JSON null.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction or an exponent that a double holds exactly enough.
    Real(f64),
    /// A number that neither of the two holds without loss, as it was written.
    Number(Box<str>),
    /// Text.
    Text(Box<str>),
    /// JSON text of an object or an array.
    Json(Box<str>),
    /// Raw bytes.
    Blob(Box<[u8]>),
}

impl Value {
    /// What people call it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Integer(_) => "integer",
            Self::Real(_) | Self::Number(_) => "number",
            Self::Text(_) => "text",
            Self::Json(_) => "JSON object or array",
            Self::Blob(_) => "bytes",
        }
    }
}

/// Shows the type; the value may be what must not reach a log.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.type_name())
    }
}

/// What a column takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ColumnKind {
    /// Whole numbers.
    Integer,
    /// Numbers with fractions, in binary.
    Real,
    /// Numbers without loss.
    Numeric,
    /// Text.
    Text,
    /// Truth values.
    Boolean,
    /// JSON documents.
    Json,
    /// Raw bytes.
    Blob,
    /// Whatever comes: the column declares no type.
    Any,
}
