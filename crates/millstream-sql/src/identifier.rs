//! The only way a name gets into a statement.

use std::fmt;

use millstream_core::error::{Error, ErrorKind};

/// A table or column name, quoted for a statement.
///
/// Names come from validated configuration. Quoting them again costs nothing and makes a mistake
/// there harmless.
#[derive(Debug, Clone, Copy)]
pub struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.replace('"', "\"\""))
    }
}

/// The same as MariaDB and MySQL quote it.
#[derive(Debug, Clone, Copy)]
pub struct Backticked<'a>(pub &'a str);

impl fmt::Display for Backticked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0.replace('`', "``"))
    }
}

/// What the names of our own tables begin with. Empty by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prefix(String);

/// Bytes of a prefix; PostgreSQL cuts names at 63.
const PREFIX_BYTES_MAX: usize = 24;

impl Prefix {
    /// Checks and wraps a prefix.
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](ErrorKind::Misconfigured) unless it is made of lower-case letters, digits
    /// and underscores, begins with a letter, and has at most 24 of them.
    pub fn new(text: &str) -> Result<Self, Error> {
        let fits = text.len() <= PREFIX_BYTES_MAX
            && !text.starts_with(|c: char| c.is_ascii_digit())
            && text
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if !fits {
            return Err(Error::new(
                ErrorKind::Misconfigured,
                format!("table prefix {text:?}: use up to {PREFIX_BYTES_MAX} of a-z, 0-9 and _"),
            ));
        }
        Ok(Self(text.into()))
    }

    /// A statement with the prefix in the place of each `~`.
    pub fn sql(&self, statement: &str) -> String {
        statement.replace('~', &self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting_leaves_no_way_out() {
        assert_eq!(
            Quoted(r#"a"; DROP TABLE b; --"#).to_string(),
            r#""a""; DROP TABLE b; --""#
        );
    }

    #[test]
    fn a_prefix_is_a_plain_word() {
        assert_eq!(
            Prefix::new("sync_").unwrap().sql("SELECT 1 FROM ~outbox"),
            "SELECT 1 FROM sync_outbox"
        );
        for bad in ["a b", "A", "\"", "1a", "a;", &"x".repeat(25)] {
            assert!(Prefix::new(bad).is_err(), "{bad:?}");
        }
    }
}
