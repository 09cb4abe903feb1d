//! Code that handles events, for whichever database the application turns out to have.

use millstream_core::error::{Error, ErrorKind};
#[cfg(feature = "mysql")]
use millstream_sql::mysql;
#[cfg(feature = "postgres")]
use millstream_sql::postgres;
use millstream_sql::sqlite;

use crate::config::Database;

/// Handlers, those for each kind of database apart: a transaction is of one kind.
#[derive(Debug, Clone, Default)]
pub(crate) struct Handlers {
    pub(crate) sqlite: sqlite::Handlers,
    #[cfg(feature = "postgres")]
    pub(crate) postgres: postgres::Handlers,
    #[cfg(feature = "mysql")]
    pub(crate) mysql: mysql::Handlers,
}

impl Handlers {
    /// Refuses types that only handlers for other kinds of databases take: their events would pass as
    /// if nobody wanted them.
    pub(crate) fn check(&self, database: &Database) -> Result<(), Error> {
        let kinds: [(&str, Vec<String>); _] = [
            ("SQLite", self.sqlite.types()),
            #[cfg(feature = "postgres")]
            ("PostgreSQL", self.postgres.types()),
            #[cfg(feature = "mysql")]
            ("MariaDB or MySQL", self.mysql.types()),
        ];
        let own = kinds.iter().find(|(kind, _)| *kind == database.kind());
        let own = own.map_or(&[][..], |(_, types)| types);
        for (kind, types) in &kinds {
            if let Some(missing) = types.iter().find(|event_type| !own.contains(event_type)) {
                return Err(Error::new(
                    ErrorKind::Misconfigured,
                    format!(
                        "the handler of {missing} is for {kind}, and the database is {}",
                        database.kind()
                    ),
                ));
            }
        }
        Ok(())
    }
}
