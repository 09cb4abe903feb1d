use rusqlite::Row;

use millstream_core::entry::EntryId;
use millstream_core::error::{Error, ErrorKind};

/// The largest value that either half of an entry id may have: SQLite's integers are signed.
pub const ID_PART_MAX: u64 = i64::MAX.cast_unsigned();

/// An id as two columns hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Columns {
    pub(super) high: i64,
    pub(super) low: i64,
}

impl Columns {
    /// For what is to be stored.
    pub(super) fn exact(id: EntryId) -> Result<Self, Error> {
        Ok(Self {
            high: integer("entry id", id.high)?,
            low: integer("entry id", id.low)?,
        })
    }

    /// For comparisons: an id that cannot be stored stands for the largest below it.
    pub(super) fn at_most(id: EntryId) -> Self {
        match (i64::try_from(id.high), i64::try_from(id.low)) {
            (Ok(high), low) => Self {
                high,
                low: low.unwrap_or(i64::MAX),
            },
            (Err(_), _) => Self {
                high: i64::MAX,
                low: i64::MAX,
            },
        }
    }

    /// Reads the columns `high` and `low`.
    pub(super) fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            high: row.get("high")?,
            low: row.get("low")?,
        })
    }

    /// The id. Only what [`exact`](Self::exact) let through is ever stored.
    pub(super) fn id(self) -> EntryId {
        EntryId::new(self.high.cast_unsigned(), self.low.cast_unsigned())
    }
}

/// A number for a column.
pub(super) fn integer(what: &str, number: u64) -> Result<i64, Error> {
    i64::try_from(number).map_err(|_| {
        Error::new(
            ErrorKind::Invalid,
            format!("{what} holds {number}, the embedded log keeps at most {ID_PART_MAX}"),
        )
    })
}
