use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;

use async_trait::async_trait;
use deadpool_postgres::Transaction;

use millstream_core::error::{Error, ErrorKind};
use millstream_core::event::Event;

use crate::postgres::database::while_doing;
use crate::postgres::error::from_postgres;

/// Code that handles an event with the transaction open.
///
/// What it writes commits together with the inbox row and the checkpoint, or not at all, so it may
/// be anything but repeatable. Its error, or its panic, ends the event and nothing else; effects
/// outside of the transaction are its own affair. It must not end the transaction: a commit fails then,
/// and the batch waits for a person to mend the handler. Nor may it let the transaction lie idle for five
/// seconds, after which the server takes it for abandoned.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Handles the event.
    ///
    /// # Errors
    ///
    /// A [`tokio_postgres::Error`] is judged by its code: a lost connection is an outage. Any other
    /// error parks the event. Its text is kept in `dead_letters.reason`.
    async fn handle(
        &self,
        event: &Event,
        transaction: &tokio_postgres::Transaction<'_>,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>>;
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

/// What came of lending the transaction to a handler.
pub(super) enum Lent {
    /// It is as open as before.
    Open(Result<(), Error>),
    /// The handler ended it, or tried to. Nothing of it was committed: our trigger on the shard's row
    /// sees to that.
    Ended,
}

/// Calls a handler with the transaction, which shows by a setting of its own that it is lent.
pub(super) async fn lend(
    handler: &dyn Handler,
    event: &Event,
    tx: &Transaction<'_>,
) -> Result<Lent, Error> {
    let failed = while_doing("lend the transaction to a handler");
    tx.batch_execute("SET LOCAL millstream.lent = 'lent'")
        .await
        .map_err(failed)?;
    let result = call(handler, event, tx).await;
    match tx
        .query_one(
            "SELECT coalesce(current_setting('millstream.lent', true), '')",
            &[],
        )
        .await
    {
        Ok(row) if row.get::<_, &str>(0) == "lent" => {}
        Ok(_) => return Ok(Lent::Ended),
        // Some statement of it has failed. Whether the handler says so or not, the event has.
        Err(error) if error.code().is_some_and(|state| state.code() == "25P02") => {
            let swallowed = || {
                let text = format!("the handler of {} hides an error", event.event_type);
                Err(Error::new(ErrorKind::Invalid, text))
            };
            return Ok(Lent::Open(result.and_then(|()| swallowed())));
        }
        Err(error) => return Err(failed(error)),
    }
    tx.batch_execute("SET LOCAL millstream.lent = ''")
        .await
        .map_err(failed)?;
    Ok(Lent::Open(result))
}

async fn call(handler: &dyn Handler, event: &Event, tx: &Transaction<'_>) -> Result<(), Error> {
    let doing = || format!("the handler of {}", event.event_type);
    let mut handling = handler.handle(event, tx);
    let result = poll_fn(|context| {
        match catch_unwind(AssertUnwindSafe(|| handling.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(result)) => Poll::Ready(Some(result)),
            Err(_) => Poll::Ready(None),
        }
    })
    .await;
    match result {
        Some(Ok(())) => Ok(()),
        Some(Err(error)) => Err(match error.downcast::<tokio_postgres::Error>() {
            Ok(error) => from_postgres(&error, doing()),
            Err(error) => Error::with_source(ErrorKind::Invalid, doing(), error),
        }),
        None => Err(Error::new(
            ErrorKind::Invalid,
            format!("{} panicked", doing()),
        )),
    }
}
