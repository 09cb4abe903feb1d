//! The contract of a database whose application knows nothing of us: changes of its rows become events.

use std::fmt;

use async_trait::async_trait;

use crate::error::{Error, ErrorKind};
use crate::name::EventType;

/// The tenant of rows that belong to none.
pub const TENANT_DEFAULT: &str = "default";

/// A table whose rows are described by events of one entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The entity, as in `user` for `user.created`.
    pub event: String,
    /// The table.
    pub table: String,
    /// The column that holds the tenant; [`TENANT_DEFAULT`] is everybody's where there is none.
    pub tenant: Option<String>,
    /// The column that holds the id of the entity.
    pub entity: String,
    /// Fields of the event's data, and the columns that they come from. Every column under its own name
    /// where nothing is said.
    pub data: Vec<(String, String)>,
}

impl Source {
    /// The type of an event of it.
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](ErrorKind::Misconfigured) when the entity's name makes no type.
    pub fn event_type(&self, happening: Happening) -> Result<EventType, Error> {
        EventType::new(format!("{}.{happening}", self.event)).map_err(|error| {
            let context = format!("the event of table {}", self.table);
            Error::with_source(ErrorKind::Misconfigured, context, error)
        })
    }
}

/// What may happen to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening {
    /// There is a new one.
    Created,
    /// Some of its columns have another value.
    Updated,
    /// It is gone.
    Deleted,
}

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
        })
    }
}

/// A table that is captured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// The table.
    pub table: String,
    /// The entity of its events.
    pub event: String,
    /// What is not as it was when the capture was made, and what to do.
    pub problem: Option<String>,
}

/// Where changes of rows become events, in the transaction that changes them.
///
/// An insert is `created`, an update `updated` if any captured column has another value, byte for byte,
/// and a delete `deleted`; an update of tenant or id is `deleted` and `created`. The data is the whole
/// row, the metadata of an update names the fields that changed. What our own apply transactions write is
/// not captured, so that two tables which follow each other end quiet.
#[async_trait]
pub trait Capture: Send + Sync + fmt::Debug {
    /// The statements that [`capture`](Self::capture) would run, for people to read first.
    ///
    /// # Errors
    ///
    /// As [`capture`](Self::capture).
    async fn capture_statements(&self, source: &Source) -> Result<Vec<String>, Error>;

    /// Captures a table, or does it anew: from here on every change of its rows is an event. Rows that
    /// are there already are not. A crash leaves it done, or to be done again.
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](ErrorKind::Misconfigured) when the table or a column is missing, the table is
    /// one of ours, its changes cannot all be seen, or our tables are missing;
    /// [`Unavailable`](ErrorKind::Unavailable) when the database is away.
    async fn capture(&self, source: &Source) -> Result<(), Error>;

    /// The statements that [`uncapture`](Self::uncapture) would run, for people to read first. Each may be
    /// run though there is nothing to remove.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable) when the database is away.
    async fn uncapture_statements(&self, table: &str) -> Result<Vec<String>, Error>;

    /// Captures a table no longer, and says whether it was. The table itself may be gone.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable) when the database is away.
    async fn uncapture(&self, table: &str) -> Result<bool, Error>;

    /// The tables that are captured, by name, and whether they still are as they were.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable) when the database is away.
    async fn captured(&self) -> Result<Vec<Captured>, Error>;
}
