use millstream_core::error::{Error, ErrorKind};
use millstream_core::lease::Role;
use millstream_core::mapping::Problem;
use millstream_engine::{consumer, relay};
#[cfg(feature = "postgres")]
use millstream_sql::postgres;

use crate::app::App;
#[cfg(feature = "postgres")]
use crate::config;
use crate::database::Database;

/// What does not fit between an application's section and its database.
#[derive(Debug)]
#[non_exhaustive]
pub enum Misfit {
    /// A mapping is malformed, or the tables are not as it says.
    Mapping(Problem),
    /// A source names a table or a column that is not there, or one that cannot be a source.
    Source {
        /// Which source, counted from 0.
        source: usize,
        /// What is wrong.
        reason: Error,
    },
    /// A stream has another number of shards in the database.
    Shards(relay::Error),
    /// The database's user lacks a right; the words say which, and what grants it.
    Right(String),
}

impl App {
    /// Compares the application with its database, as far as that can be done before the first event.
    /// Nothing is changed; nothing is found where everything fits.
    ///
    /// Rights are looked at on PostgreSQL only.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable) when the database is away, and
    /// [`Misconfigured`](ErrorKind::Misconfigured) when our tables are missing or another application's:
    /// then there is nothing to compare with.
    pub async fn check(&self, database: &dyn Database) -> Result<Vec<Misfit>, Error> {
        database.identity().await?;
        let mut misfits = Vec::new();
        match consumer::fit(database, &self.mappings).await {
            Ok(_) => {}
            Err(consumer::Error::Mappings(problems)) => {
                misfits.extend(problems.into_iter().map(Misfit::Mapping));
            }
            Err(consumer::Error::Store(error)) => return Err(error),
            Err(refusal) => {
                return Err(Error::new(ErrorKind::Misconfigured, refusal.to_string()));
            }
        }
        for (at, source) in self.sources.iter().enumerate() {
            match database.capture_statements(source).await {
                Ok(_) => {}
                Err(reason) if reason.kind() == ErrorKind::Misconfigured => {
                    misfits.push(Misfit::Source { source: at, reason });
                }
                Err(error) => return Err(error),
            }
        }
        let rows = database.leases(Role::Relay).await?;
        let streams = self.publishes.iter();
        let misfitting = streams.filter_map(|stream| relay::fit(&rows, stream).err());
        misfits.extend(misfitting.map(Misfit::Shards));
        misfits.extend(self.missing_rights().await?.into_iter().map(Misfit::Right));
        Ok(misfits)
    }

    async fn missing_rights(&self) -> Result<Vec<String>, Error> {
        #[cfg(feature = "postgres")]
        if let config::Database::Postgres(server) = &self.database {
            return postgres::missing_rights(&self.postgres(server), &self.mappings).await;
        }
        Ok(Vec::new())
    }
}
