use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use deadpool_postgres::{
    ClientWrapper, Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime,
    Transaction,
};

use millstream_core::error::Error;

use crate::postgres::bound::Bounds;
use crate::postgres::connect::Connector;
use crate::postgres::error::{from_pool, from_postgres};
use crate::postgres::notify::Ears;
use crate::postgres::options::Options;
use crate::postgres::types::Types;

/// How long a call waits for one of our connections to be free.
const CONNECTION_WAIT_MAX: Duration = Duration::from_secs(10);

/// An application's PostgreSQL database: [`Store`](millstream_core::store::Store) for what arrives,
/// [`Outbox`](millstream_core::outbox::Outbox) for what it sends.
///
/// Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub struct Database {
    pub(super) options: Arc<Options>,
    /// Made for the first connection, since it reads the file of authorities.
    pool: Arc<OnceLock<Pool>>,
    types: Arc<Mutex<HashMap<Arc<str>, Arc<Types>>>>,
    pub(super) bounds: Arc<Bounds>,
    pub(super) ears: Arc<Ears>,
}

impl Database {
    /// Prepares to use the database. Nothing is opened until it is needed.
    pub fn new(options: Options) -> Self {
        Self {
            options: Arc::new(options),
            pool: Arc::default(),
            types: Arc::default(),
            bounds: Arc::default(),
            ears: Arc::default(),
        }
    }

    /// A connection, for as long as it is held.
    pub(super) async fn connection(&self, doing: &'static str) -> Result<Object, Error> {
        let pool = match self.pool.get() {
            Some(pool) => pool,
            None => {
                let pool = pool(&self.options)?;
                self.pool.get_or_init(|| pool)
            }
        };
        pool.get()
            .await
            .map_err(|error| from_pool(&error, doing, &self.options.server))
    }

    /// A statement with our prefix.
    pub(super) fn sql(&self, statement: &str) -> String {
        self.options.prefix.sql(statement)
    }

    /// The types of a table's columns, as they were when they were last looked at.
    pub(super) async fn types(
        &self,
        tx: &Transaction<'_>,
        table: &Arc<str>,
    ) -> Result<Arc<Types>, Error> {
        let lock = || self.types.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lock().get(table).cloned();
        if let Some(types) = known {
            return Ok(types);
        }
        let types = Arc::new(Types::read(&**tx, table).await?);
        lock().insert(table.clone(), types.clone());
        Ok(types)
    }

    /// Looks at the tables again: one of them may have changed.
    pub(super) fn forget_types(&self) {
        self.types
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

/// Connections, none of which is made until it is needed.
fn pool(options: &Options) -> Result<Pool, Error> {
    let config = ManagerConfig {
        // A connection that is gone is noticed by itself, mostly; otherwise by its first statement.
        recycling_method: RecyclingMethod::Fast,
    };
    let connector = Connector::new(options)?;
    let manager = Manager::from_connect(options.session(), connector, config);
    // One that nobody used for long has ended, which is nothing to warn of.
    let is_open = Hook::sync_fn(|client: &mut ClientWrapper, _| match client.is_closed() {
        true => Err(HookError::message("it has ended")),
        false => Ok(()),
    });
    Ok(Pool::builder(manager)
        .pre_recycle(is_open)
        .max_size(options.connections_max.max(1))
        .wait_timeout(Some(CONNECTION_WAIT_MAX))
        .create_timeout(Some(options.connect_max()))
        .runtime(Runtime::Tokio1)
        .build()
        .expect("a runtime is named"))
}

/// A PostgreSQL error with what was being done, for `map_err`.
pub(super) fn while_doing(doing: &'static str) -> impl Fn(tokio_postgres::Error) -> Error + Copy {
    move |error| from_postgres(&error, doing)
}
