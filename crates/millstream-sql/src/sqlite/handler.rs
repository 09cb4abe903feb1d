use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use millstream_core::event::Event;

/// Code that handles an event with the transaction open.
///
/// What it writes commits together with the inbox row and the checkpoint, or not at all, so it may
/// be anything but repeatable. Its error, or its panic, ends the event and nothing else; effects
/// outside of the transaction are its own affair. It must not end the transaction: a commit is turned
/// into a rollback, and the batch waits for a person to mend the handler.
pub trait Handler: Send + Sync {
    /// Handles the event.
    ///
    /// # Errors
    ///
    /// A [`rusqlite::Error`] is judged by its code: a locked or full database is an outage. Any other
    /// error parks the event. Its text is kept in `dead_letters.reason`.
    fn handle(
        &self,
        event: &Event,
        transaction: &rusqlite::Transaction<'_>,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>>;
}

impl<F> Handler for F
where
    F: Fn(
            &Event,
            &rusqlite::Transaction<'_>,
        ) -> Result<(), Box<dyn std::error::Error + Send + Sync>>
        + Send
        + Sync,
{
    fn handle(
        &self,
        event: &Event,
        transaction: &rusqlite::Transaction<'_>,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        self(event, transaction)
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

    pub(super) fn types(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

impl fmt::Debug for Handlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Whether the transaction is lent to a handler, who must not commit it: half a batch would be done
/// then, without its inbox rows.
#[derive(Clone, Default)]
pub(super) struct Lent(Arc<AtomicBool>);

impl Lent {
    /// Makes the connection roll back whatever is committed while it is lent.
    pub(super) fn guard(&self, db: &mut rusqlite::Connection) -> rusqlite::Result<()> {
        let lent = self.clone();
        db.commit_hook(Some(move || lent.0.load(Ordering::Relaxed)))
    }

    /// Lends it for the time of a call, which may panic.
    pub(super) fn during<T>(&self, call: impl FnOnce() -> T) -> std::thread::Result<T> {
        self.0.store(true, Ordering::Relaxed);
        let result = catch_unwind(AssertUnwindSafe(call));
        self.0.store(false, Ordering::Relaxed);
        result
    }
}
