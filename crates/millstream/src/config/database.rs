use std::fmt;
use std::path::{Path, PathBuf};

/// Where an application's database is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Database {
    /// An SQLite file: `sqlite:data/hr.db`.
    Sqlite(PathBuf),
    /// SQLite in memory, for tests: `sqlite::memory:`.
    Memory,
}

/// An address that names no database. No message holds more of it than the scheme, since addresses
/// hold passwords.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidDatabase {
    /// The scheme belongs to a database that this version cannot use.
    #[error("{0} is not supported by this version; use sqlite:FILE")]
    Unsupported(String),
    /// The scheme belongs to something that carries events.
    #[error("{0} carries events and is no database; use sqlite:FILE, and Redis in [transport]")]
    Transport(String),
    /// There is no scheme, or one that nobody knows.
    #[error("a database looks like sqlite:data/hr.db")]
    Unknown,
    /// Nothing behind the scheme.
    #[error("sqlite: needs a file, as in sqlite:data/hr.db")]
    NoFile,
}

impl Database {
    /// Reads an address. A relative file is relative to the working folder.
    ///
    /// # Errors
    ///
    /// Fails when it names no database that can be used.
    pub fn parse(address: &str) -> Result<Self, InvalidDatabase> {
        match address.split_once(':') {
            Some(("sqlite", ":memory:")) => Ok(Self::Memory),
            Some(("sqlite", file)) => match sqlite_file(file) {
                Some(file) => Ok(Self::Sqlite(file)),
                None => Err(InvalidDatabase::NoFile),
            },
            Some((scheme @ ("postgres" | "postgresql" | "mysql" | "mariadb"), _)) => {
                Err(InvalidDatabase::Unsupported(scheme.into()))
            }
            Some((scheme, _)) if is_redis(scheme) => Err(InvalidDatabase::Transport(scheme.into())),
            _ => Err(InvalidDatabase::Unknown),
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

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Memory => f.write_str("sqlite::memory:"),
        }
    }
}

/// The file behind `sqlite:`, with or without the slashes of a URL.
pub(super) fn sqlite_file(rest: &str) -> Option<PathBuf> {
    let file = rest.strip_prefix("//").unwrap_or(rest);
    (!file.is_empty()).then(|| file.into())
}

/// Whether a scheme is one of Redis.
pub(super) fn is_redis(scheme: &str) -> bool {
    let kinds = ["", "+unix", "+sentinel", "+cluster"];
    let rest = scheme
        .strip_prefix("rediss")
        .or_else(|| scheme.strip_prefix("redis"));
    rest.is_some_and(|kind| kinds.contains(&kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_never_repeated() {
        assert_eq!(
            Database::parse("sqlite:a/b.db"),
            Ok(Database::Sqlite("a/b.db".into()))
        );
        assert_eq!(
            Database::parse("sqlite:///a/b.db"),
            Ok(Database::Sqlite("/a/b.db".into()))
        );
        assert_eq!(Database::parse("sqlite::memory:"), Ok(Database::Memory));
        assert_eq!(Database::parse("sqlite:"), Err(InvalidDatabase::NoFile));
        for bad in [
            "postgres://crm:secret@localhost/crm",
            "redis://:secret@localhost",
            "redis+secret:",
            "oracle:secret",
            "secret",
        ] {
            let error = Database::parse(bad).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
