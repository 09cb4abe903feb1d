//! Checks event data before anything parses it.

mod members;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::event::Json;
use crate::limits::{FIELD_BYTES_MAX, JSON_DEPTH_MAX, JSON_NODES_MAX};

pub(crate) use members::{Members, text_of};

/// Why a text is not acceptable as event data. Never says what the text holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Longer than [`FIELD_BYTES_MAX`].
    #[error("has {bytes} bytes, at most {FIELD_BYTES_MAX} are allowed")]
    TooLong {
        /// The length found.
        bytes: usize,
    },
    /// Nested deeper than [`JSON_DEPTH_MAX`].
    #[error("is nested deeper than {JSON_DEPTH_MAX} levels")]
    TooDeep,
    /// More members and elements than [`JSON_NODES_MAX`].
    #[error("has more than {JSON_NODES_MAX} members and elements")]
    TooManyNodes,
    /// Not UTF-8.
    #[error("is not UTF-8 from byte {at} on")]
    NotUtf8 {
        /// The first byte that is not.
        at: usize,
    },
    /// JSON perhaps, but no object.
    #[error("is not a JSON object")]
    NotAnObject,
    /// Not JSON.
    #[error("is not valid JSON at line {line}, column {column}")]
    Syntax {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// Something follows the object.
    #[error("holds more than one JSON document")]
    Trailing,
}

impl Json {
    /// Checks that a text is exactly one JSON object within the limits, and wraps it as it is.
    ///
    /// # Errors
    ///
    /// Fails when the text is too long, too deep, too large, not UTF-8, or not one JSON object.
    pub fn parse(text: impl Into<Bytes>) -> Result<Self, Error> {
        let text = text.into();
        check(&text)?;
        Ok(Self::new_checked(text))
    }

    /// Writes out a value, which must be an object.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub fn from_value(value: &serde_json::Value) -> Result<Self, Error> {
        Self::parse(value.to_string())
    }
}

impl TryFrom<serde_json::Value> for Json {
    type Error = Error;

    fn try_from(value: serde_json::Value) -> Result<Self, Error> {
        Self::from_value(&value)
    }
}

/// Checks that the bytes are exactly one JSON object in UTF-8, within the limits.
pub(crate) fn check(text: &[u8]) -> Result<(), Error> {
    if text.len() > FIELD_BYTES_MAX {
        return Err(Error::TooLong { bytes: text.len() });
    }
    let utf8 = std::str::from_utf8(text).map_err(|e| Error::NotUtf8 {
        at: e.valid_up_to(),
    })?;
    if text.iter().find(|b| !b.is_ascii_whitespace()) != Some(&b'{') {
        return Err(Error::NotAnObject);
    }
    check_bounds(text)?;
    let mut parser = serde_json::Deserializer::from_str(utf8);
    IgnoredAny::deserialize(&mut parser).map_err(|e| Error::Syntax {
        line: e.line(),
        column: e.column(),
    })?;
    parser.end().map_err(|_| Error::Trailing)
}

/// Counts brackets and commas outside strings, whatever the text is otherwise.
///
/// Every member or element stands behind a bracket or a comma, so their number bounds the nodes.
fn check_bounds(text: &[u8]) -> Result<(), Error> {
    // A level of valid JSON takes two bytes, and an element too: nothing to count in short texts.
    if text.len() < 2 * JSON_DEPTH_MAX {
        return Ok(());
    }
    let (mut depth, mut nodes, mut at) = (0_usize, 0_usize, 0_usize);
    while let Some(&byte) = text.get(at) {
        at += 1;
        match byte {
            b'"' => at = after_string(text, at),
            b'{' | b'[' => {
                depth += 1;
                nodes += 1;
                if depth > JSON_DEPTH_MAX {
                    return Err(Error::TooDeep);
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' => nodes += 1,
            _ => {}
        }
    }
    if nodes > JSON_NODES_MAX {
        Err(Error::TooManyNodes)
    } else {
        Ok(())
    }
}

/// The position behind the quote that ends the string in which `at` lies.
fn after_string(text: &[u8], mut at: usize) -> usize {
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}
