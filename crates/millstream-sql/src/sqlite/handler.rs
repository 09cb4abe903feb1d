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

/// A transaction that is lent to a handler, who must not end it: half a batch would be done then,
/// without its inbox rows or without its checkpoint.
#[derive(Clone, Default)]
pub(super) struct Lent(Arc<State>);

#[derive(Default)]
struct State {
    lent: AtomicBool,
    ended: AtomicBool,
}

impl Lent {
    /// Makes the connection roll back whatever is committed while it is lent, and remember that it
    /// was rolled back: the handler may begin another transaction in its place.
    pub(super) fn guard(&self, db: &mut rusqlite::Connection) -> rusqlite::Result<()> {
        let state = self.0.clone();
        db.commit_hook(Some(move || state.lent.load(Ordering::Relaxed)))?;
        let state = self.0.clone();
        db.rollback_hook(Some(move || {
            if state.lent.load(Ordering::Relaxed) {
                state.ended.store(true, Ordering::Relaxed);
            }
        }))
    }

    /// Lends it for the time of a call, which may panic.
    pub(super) fn during<T>(&self, call: impl FnOnce() -> T) -> std::thread::Result<T> {
        self.0.lent.store(true, Ordering::Relaxed);
        let result = catch_unwind(AssertUnwindSafe(call));
        self.0.lent.store(false, Ordering::Relaxed);
        result
    }

    /// Whether it was ended while it was lent.
    pub(super) fn was_ended(&self) -> bool {
        self.0.ended.load(Ordering::Relaxed)
    }
}
