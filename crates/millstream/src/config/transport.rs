use std::fmt;
use std::path::{Path, PathBuf};

#[cfg(feature = "redis")]
use millstream_transport::redis;

use crate::config::database::{is_redis, sqlite_file};

/// Where events travel.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Transport {
    /// The embedded log in an SQLite file: `sqlite:data/events.db`.
    Sqlite(PathBuf),
    /// The embedded log in memory, for tests: `sqlite::memory:`.
    Memory,
    /// Redis or Valkey: `redis://localhost` and its relatives.
    #[cfg(feature = "redis")]
    Redis(Box<redis::Options>),
}

/// An address that names no transport. No message holds more of it than the scheme, since addresses
/// hold passwords.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTransport {
    /// The scheme belongs to a database.
    #[error("{0} is a database and carries no events; use redis://HOST or sqlite:FILE")]
    Database(String),
    /// There is no scheme, or one that nobody knows.
    #[error("a transport looks like redis://127.0.0.1:6379 or sqlite:data/events.db")]
    Unknown,
    /// Nothing behind the scheme.
    #[error("sqlite: needs a file, as in sqlite:data/events.db")]
    NoFile,
    /// Redis cannot be reached by such an address.
    #[error("{0}")]
    Redis(String),
    /// The program was built without Redis.
    #[error("this program was built without Redis: build it with the feature `redis`")]
    NotBuilt,
}

impl Transport {
    /// Reads an address. A relative file is relative to the working folder.
    ///
    /// # Errors
    ///
    /// Fails when it names no transport that can be used.
    pub fn parse(address: &str) -> Result<Self, InvalidTransport> {
        match address.split_once(':') {
            Some(("sqlite", ":memory:")) => Ok(Self::Memory),
            Some(("sqlite", file)) => match sqlite_file(file) {
                Some(file) => Ok(Self::Sqlite(file)),
                None => Err(InvalidTransport::NoFile),
            },
            Some((scheme @ ("postgres" | "postgresql" | "mysql" | "mariadb"), _)) => {
                Err(InvalidTransport::Database(scheme.into()))
            }
            Some((scheme, _)) if is_redis(scheme) => Self::parse_redis(address),
            _ => Err(InvalidTransport::Unknown),
        }
    }

    #[cfg(feature = "redis")]
    fn parse_redis(url: &str) -> Result<Self, InvalidTransport> {
        redis::Options::parse(url)
            .map(|options| Self::Redis(Box::new(options)))
            .map_err(|error| InvalidTransport::Redis(error.to_string()))
    }

    #[cfg(not(feature = "redis"))]
    fn parse_redis(_: &str) -> Result<Self, InvalidTransport> {
        Err(InvalidTransport::NotBuilt)
    }

    /// The same, with a relative file taken as relative to `folder`.
    #[must_use]
    pub fn relative_to(self, folder: &Path) -> Self {
        match self {
            Self::Sqlite(path) => Self::Sqlite(folder.join(path)),
            other => other,
        }
    }
}

/// The address without what is secret.
impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Memory => f.write_str("sqlite::memory:"),
            #[cfg(feature = "redis")]
            Self::Redis(options) => options.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_never_repeated() {
        for (address, shown) in [
            ("sqlite:a/b.db", "sqlite:a/b.db"),
            ("sqlite:///a/b.db", "sqlite:/a/b.db"),
            ("sqlite::memory:", "sqlite::memory:"),
            #[cfg(feature = "redis")]
            ("redis://crm:secret@db", "redis://db:6379"),
            #[cfg(feature = "redis")]
            (
                "rediss+sentinel://:secret@a,b/main",
                "rediss+sentinel://a:26379,b:26379/main",
            ),
        ] {
            assert_eq!(Transport::parse(address).unwrap().to_string(), shown);
        }
        for bad in [
            "postgres://crm:secret@localhost/crm",
            "redis://:secret@localhost:port",
            "rediss+secret://localhost",
            "oracle:secret",
            "secret",
            "sqlite:",
        ] {
            let error = Transport::parse(bad).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
