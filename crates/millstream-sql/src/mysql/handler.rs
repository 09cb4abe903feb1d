use std::collections::HashMap;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use mysql_async::prelude::{FromRow, Queryable as _};
use mysql_async::{Conn, Params};

use millstream_core::error::{Error, ErrorKind};
use millstream_core::event::Event;

use crate::mysql::error::{from_mysql, number};

/// What a handler says when it fails.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The number of the error with which the server refuses to end a transaction that was lent.
const NOT_YOURS_TO_END: u16 = 1399;

/// Code that handles an event with the transaction open.
///
/// What it writes commits together with the inbox row and the checkpoint, or not at all, so it may
/// be anything but repeatable. Its error, or its panic, ends the event and nothing else; effects
/// outside of the transaction are its own affair. It cannot end the transaction: the server refuses
/// COMMIT, ROLLBACK and whatever commits by itself, such as DDL, and the batch then waits for a person
/// to mend the handler. That is done by XA, which Galera does not have.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Handles the event.
    ///
    /// # Errors
    ///
    /// A [`mysql_async::Error`] is judged by its number: a server that is away or a row that is locked
    /// is an outage. Any other error parks the event. Its text is kept in `dead_letters.reason`.
    async fn handle(&self, event: &Event, transaction: &mut Lent<'_>) -> Result<(), BoxError>;
}

/// A transaction that is lent to a handler.
#[derive(Debug)]
pub struct Lent<'a>(&'a mut Conn);

impl Lent<'_> {
    /// Runs a statement, and says how many rows it found.
    ///
    /// # Errors
    ///
    /// Fails with what the server says.
    pub async fn exec_drop(
        &mut self,
        statement: &str,
        parameters: impl Into<Params> + Send,
    ) -> Result<u64, mysql_async::Error> {
        self.0.exec_drop(statement, parameters.into()).await?;
        Ok(self.0.affected_rows())
    }

    /// Reads rows.
    ///
    /// # Errors
    ///
    /// Fails with what the server says.
    pub async fn exec<T: FromRow + Send + 'static>(
        &mut self,
        statement: &str,
        parameters: impl Into<Params> + Send,
    ) -> Result<Vec<T>, mysql_async::Error> {
        self.0.exec(statement, parameters.into()).await
    }

    /// Runs statements without parameters.
    ///
    /// # Errors
    ///
    /// Fails with what the server says.
    pub async fn query_drop(&mut self, statements: &str) -> Result<(), mysql_async::Error> {
        self.0.query_drop(statements).await
    }
}

/// The handlers of an application, by event type.
#[derive(Clone, Default)]
pub struct Handlers(HashMap<String, Arc<dyn Handler>>);

impl Handlers {
    /// Adds a handler; it replaces an earlier one for the same type.
    #[must_use]
    pub fn on(mut self, event_type: impl Into<String>, handler: impl Handler + 'static) -> Self {
        self.0.insert(event_type.into(), Arc::new(handler));
        self
    }

    pub(super) fn get(&self, event_type: &str) -> Option<&dyn Handler> {
        self.0.get(event_type).map(AsRef::as_ref)
    }

    /// The event types that have one.
    pub fn types(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

impl fmt::Debug for Handlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Calls a handler, which may panic.
pub(super) async fn call(
    handler: &dyn Handler,
    event: &Event,
    conn: &mut Conn,
) -> Result<(), Error> {
    let doing = || format!("the handler of {}", event.event_type);
    let mut lent = Lent(conn);
    let called = AssertUnwindSafe(handler.handle(event, &mut lent));
    match called.catch_unwind().await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(match error.downcast::<mysql_async::Error>() {
            Ok(error) if number(&error) == Some(NOT_YOURS_TO_END) => Error::new(
                ErrorKind::Misconfigured,
                format!("{} tried to end the transaction that it was lent", doing()),
            ),
            Ok(error) => from_mysql(*error, doing()),
            Err(error) => Error::with_source(ErrorKind::Invalid, doing(), error),
        }),
        Err(_) => Err(Error::new(
            ErrorKind::Invalid,
            format!("{} panicked", doing()),
        )),
    }
}
