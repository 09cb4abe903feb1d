use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use millstream_core::change::Shape;
use millstream_core::error::Error;

use crate::described;
use crate::mysql::fitting::Fits;
use crate::mysql::options::Options;
use crate::mysql::session::{Pool, Session};

/// An application's MariaDB or MySQL database: [`Store`](millstream_core::store::Store) for what
/// arrives, [`Outbox`](millstream_core::outbox::Outbox) for what it sends.
///
/// Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub struct Database {
    pub(super) options: Arc<Options>,
    pool: Arc<Pool>,
    /// What the tables take that were described, which all are that a mapping writes to.
    fits: Arc<RwLock<HashMap<Arc<str>, Arc<Fits>>>>,
}

impl Database {
    /// Prepares to use the database. Nothing is opened until it is needed.
    pub fn new(options: Options) -> Self {
        let options = Arc::new(options);
        Self {
            pool: Arc::new(Pool::new(Arc::clone(&options))),
            options,
            fits: Arc::default(),
        }
    }

    /// Remembers what a table takes.
    pub(super) fn remember(&self, table: &Arc<str>, fits: Fits) {
        let mut known = self.fits.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(table.clone(), Arc::new(fits));
    }

    /// What the table of a shape takes.
    ///
    /// # Errors
    ///
    /// [`Outdated`](millstream_core::error::ErrorKind::Outdated) if it was described anew since the shape
    /// was made.
    pub(super) fn fits(&self, shape: &Shape) -> Result<Option<Arc<Fits>>, Error> {
        let known = self.fits.read().unwrap_or_else(PoisonError::into_inner);
        let Some(fits) = known.get(&shape.table) else {
            return Ok(None);
        };
        described::compare(shape, fits.version)?;
        Ok(Some(Arc::clone(fits)))
    }

    /// A connection.
    pub(super) async fn session(&self) -> Result<Session, Error> {
        self.pool.session().await
    }

    /// A connection with a transaction begun.
    pub(super) async fn begin(&self, doing: &str) -> Result<Session, Error> {
        let mut session = self.session().await?;
        session.begin(doing).await?;
        Ok(session)
    }

    /// A statement with our prefix in it.
    pub(super) fn sql(&self, statement: &str) -> String {
        self.options.prefix.sql(statement)
    }
}
