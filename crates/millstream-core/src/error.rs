//! What can go wrong, and what that means for the event at hand.

use std::fmt;

/// The question that each error answers: what to do next?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A server, a file or a disk is away. Wait; it says nothing about the event.
    Unavailable,
    /// Something else is in the way: a lock, a missing row, a unique value. May succeed later.
    Conflict,
    /// A table, a column, a right is missing. Wait until a person has mended it.
    Misconfigured,
    /// The event can never be applied as it is.
    Invalid,
    /// The lease went to somebody else, or the checkpoint moved. Look again.
    Fenced,
    /// A table is not what it was described as any more. Describe it again, and plan anew.
    Outdated,
}

impl ErrorKind {
    /// Whether only the event at hand is at fault, so that everything else may go on.
    pub fn is_of_one_event(self) -> bool {
        matches!(self, Self::Conflict | Self::Invalid)
    }
}

/// An error of a transport or a database, with its kind and its source.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    context: String,
    full: bool,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error that Millstream itself found.
    pub fn new(kind: ErrorKind, context: impl Into<String>) -> Self {
        Self {
            kind,
            context: context.into(),
            full: false,
            source: None,
        }
    }

    /// The transport takes nothing more until something is removed; otherwise an outage like others.
    pub fn full(context: impl Into<String>) -> Self {
        Self {
            full: true,
            ..Self::new(ErrorKind::Unavailable, context)
        }
    }

    /// An error that a library reported. `context` says what was being done.
    pub fn with_source(
        kind: ErrorKind,
        context: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self {
            kind,
            context: context.into(),
            full: false,
            source: Some(source.into()),
        }
    }

    /// What to do next.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether removing entries would help.
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// The same error with more said about what was being done.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.context = format!("{context}: {}", self.context);
        self
    }
}

/// The whole chain in one line, since it goes into logs and tables.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.context)?;
        match &self.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // Display has already shown it; a reporter would show it twice.
        None
    }
}
