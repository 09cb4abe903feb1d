use std::fmt;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};

use millstream_core::entry::Shard;
use millstream_core::name::{AppName, StreamName};

use super::id::Columns;

/// The name of a row in `streams`. Shards have braces in theirs, which no stream's name has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    text: Arc<str>,
    kind: &'static str,
}

impl Key {
    pub(super) fn owned(shard: &Shard) -> Self {
        Self {
            text: shard.to_string().into(),
            kind: "owned",
        }
    }

    pub(super) fn shared(stream: &StreamName) -> Self {
        Self {
            text: stream.as_str().into(),
            kind: "shared",
        }
    }

    /// Where messages to the owner of streams are. No shared stream has braces in its name.
    pub(super) fn acknowledgments(owner: &AppName) -> Self {
        Self {
            text: format!("acknowledgments:{{{owner}}}").into(),
            kind: "acknowledgments",
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Finds the stream.
    pub(super) fn find(&self, db: &Connection) -> rusqlite::Result<Option<Stream>> {
        db.prepare_cached("SELECT id, high, low, replaced FROM streams WHERE key = ?1")?
            .query_row([self.as_str()], |row| {
                Ok(Stream {
                    id: row.get("id")?,
                    last: Columns::of(row)?,
                    replaced: row.get("replaced")?,
                })
            })
            .optional()
    }

    /// Finds the stream or makes it. Belongs into a write transaction.
    pub(super) fn find_or_make(&self, db: &Connection) -> rusqlite::Result<Stream> {
        if let Some(stream) = self.find(db)? {
            return Ok(stream);
        }
        db.prepare_cached("INSERT INTO streams (key, kind) VALUES (?1, ?2)")?
            .execute((self.as_str(), self.kind))?;
        Ok(Stream {
            id: db.last_insert_rowid(),
            last: Columns { high: 0, low: 0 },
            replaced: 0,
        })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A row of `streams`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stream {
    pub(super) id: i64,
    /// The last id that it ever held.
    pub(super) last: Columns,
    /// How often it was begun anew.
    pub(super) replaced: i64,
}
