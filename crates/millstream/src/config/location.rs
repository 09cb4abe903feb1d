use std::fmt;
use std::path::{Path, PathBuf};

/// Where a database or a transport is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Location {
    /// An SQLite file: `sqlite:data/hr.db`.
    Sqlite(PathBuf),
    /// SQLite in memory, for tests: `sqlite::memory:`.
    Memory,
}

/// An address of no known form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LocationError {
    /// The scheme belongs to something that this version cannot use.
    #[error("{0} is not supported by this version; use sqlite:FILE")]
    Unsupported(String),
    /// There is no scheme, or one that nobody knows.
    #[error("an address looks like sqlite:data/hr.db")]
    Unknown,
    /// Nothing behind the scheme.
    #[error("sqlite: needs a file, as in sqlite:data/hr.db")]
    NoFile,
}

impl Location {
    /// Reads an address. A relative file is relative to the working folder.
    ///
    /// # Errors
    ///
    /// Fails when the scheme is not known. The message holds no part of the address but the scheme,
    /// since addresses hold passwords.
    pub fn parse(address: &str) -> Result<Self, LocationError> {
        match address.split_once(':') {
            Some(("sqlite", ":memory:")) => Ok(Self::Memory),
            Some(("sqlite", file)) => match file.strip_prefix("//").unwrap_or(file) {
                "" => Err(LocationError::NoFile),
                file => Ok(Self::Sqlite(file.into())),
            },
            Some((
                scheme @ ("redis" | "rediss" | "redis+sentinel" | "redis+cluster" | "postgres"
                | "postgresql" | "mysql" | "mariadb"),
                _,
            )) => Err(LocationError::Unsupported(scheme.into())),
            _ => Err(LocationError::Unknown),
        }
    }

    /// The same, with a relative file taken as relative to `folder`.
    #[must_use]
    pub fn relative_to(self, folder: &Path) -> Self {
        match self {
            Self::Sqlite(path) => Self::Sqlite(folder.join(path)),
            Self::Memory => Self::Memory,
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Memory => f.write_str("sqlite::memory:"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_never_repeated() {
        assert_eq!(
            Location::parse("sqlite:a/b.db"),
            Ok(Location::Sqlite("a/b.db".into()))
        );
        assert_eq!(
            Location::parse("sqlite:///a/b.db"),
            Ok(Location::Sqlite("/a/b.db".into()))
        );
        assert_eq!(Location::parse("sqlite::memory:"), Ok(Location::Memory));
        assert_eq!(Location::parse("sqlite:"), Err(LocationError::NoFile));
        for bad in [
            "postgres://crm:secret@localhost/crm",
            "oracle:secret",
            "secret",
        ] {
            let error = Location::parse(bad).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
