use std::fmt;
use std::path::{Path, PathBuf};

#[cfg(feature = "mysql")]
use millstream_sql::mysql;
#[cfg(feature = "postgres")]
use millstream_sql::postgres;

/// Where an application's database is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Database {
    /// An SQLite file: `sqlite:data/hr.db`.
    Sqlite(PathBuf),
    /// SQLite in memory, for tests: `sqlite::memory:`.
    Memory,
    /// PostgreSQL: `postgres://hr@localhost/hr`.
    #[cfg(feature = "postgres")]
    Postgres(Box<postgres::Server>),
    /// MariaDB or MySQL: `mysql://hr@localhost/hr`, or `mariadb://`.
    #[cfg(feature = "mysql")]
    MySql(Box<mysql::Server>),
}

/// An address that names no database. No message holds more of it than the scheme, since addresses
/// hold passwords.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidDatabase {
    /// The program was built without what the scheme needs.
    #[error("this program was built without {0}: build it with the feature `{1}`")]
    NotBuilt(&'static str, &'static str),
    /// A server cannot be reached by such an address.
    #[error("{0}")]
    Server(String),
    /// The scheme belongs to something that carries events.
    #[error("{0} carries events and is no database: write it in [transport]")]
    Transport(String),
    /// There is no scheme, or one that nobody knows.
    #[error(
        "a database looks like sqlite:data/hr.db, postgres://USER@HOST/DATABASE or \
         mysql://USER@HOST/DATABASE"
    )]
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
            Some(("postgres" | "postgresql", _)) => Self::parse_postgres(address),
            Some(("mysql" | "mariadb", _)) => Self::parse_mysql(address),
            Some((scheme, _)) if is_redis(scheme) => Err(InvalidDatabase::Transport(scheme.into())),
            _ => Err(InvalidDatabase::Unknown),
        }
    }

    #[cfg(feature = "postgres")]
    fn parse_postgres(url: &str) -> Result<Self, InvalidDatabase> {
        postgres::Server::url(url)
            .map(|server| Self::Postgres(Box::new(server)))
            .map_err(|error| InvalidDatabase::Server(error.to_string()))
    }

    #[cfg(not(feature = "postgres"))]
    fn parse_postgres(_: &str) -> Result<Self, InvalidDatabase> {
        Err(InvalidDatabase::NotBuilt("PostgreSQL", "postgres"))
    }

    #[cfg(feature = "mysql")]
    fn parse_mysql(url: &str) -> Result<Self, InvalidDatabase> {
        mysql::Server::url(url)
            .map(|server| Self::MySql(Box::new(server)))
            .map_err(|error| InvalidDatabase::Server(error.to_string()))
    }

    #[cfg(not(feature = "mysql"))]
    fn parse_mysql(_: &str) -> Result<Self, InvalidDatabase> {
        Err(InvalidDatabase::NotBuilt("MariaDB and MySQL", "mysql"))
    }

    /// The same, with a relative file taken as relative to `folder`.
    #[must_use]
    pub fn relative_to(self, folder: &Path) -> Self {
        match self {
            Self::Sqlite(path) => Self::Sqlite(folder.join(path)),
            other => other,
        }
    }

    /// Whether both addresses lead to one database, whoever uses it. Two databases in memory are two.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Sqlite(one), Self::Sqlite(other)) => one == other,
            #[cfg(feature = "postgres")]
            (Self::Postgres(one), Self::Postgres(other)) => one.is_same_database(other),
            #[cfg(feature = "mysql")]
            (Self::MySql(one), Self::MySql(other)) => one.is_same_database(other),
            _ => false,
        }
    }

    /// What people call its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Sqlite(_) | Self::Memory => "SQLite",
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => "PostgreSQL",
            #[cfg(feature = "mysql")]
            Self::MySql(_) => "MariaDB or MySQL",
        }
    }
}

/// The address without what is secret.
impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Memory => f.write_str("sqlite::memory:"),
            #[cfg(feature = "postgres")]
            Self::Postgres(server) => server.fmt(f),
            #[cfg(feature = "mysql")]
            Self::MySql(server) => server.fmt(f),
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
        for (address, shown) in [
            ("sqlite:a/b.db", "sqlite:a/b.db"),
            ("sqlite:///a/b.db", "sqlite:/a/b.db"),
            ("sqlite::memory:", "sqlite::memory:"),
            #[cfg(feature = "postgres")]
            ("postgres://crm:secret@db/crm", "postgres://db:5432/crm"),
            #[cfg(feature = "mysql")]
            ("mariadb://crm:secret@db/crm", "mysql://db:3306/crm"),
        ] {
            assert_eq!(Database::parse(address).unwrap().to_string(), shown);
        }
        assert_eq!(
            Database::parse("sqlite:").unwrap_err(),
            InvalidDatabase::NoFile
        );
        for bad in [
            "postgres://crm:secret@localhost:port/crm",
            "mysql://crm:secret@localhost",
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
