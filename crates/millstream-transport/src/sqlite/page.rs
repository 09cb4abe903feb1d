use bytes::Bytes;
use rusqlite::{Row, Rows};

use millstream_core::blob;
use millstream_core::entry::{Entry, EntryId};
use millstream_core::log::ReadLimit;

use super::call::Fault;
use super::id::Columns;

/// What one read brings, within its limit.
#[derive(Debug)]
pub(super) struct Page {
    limit: ReadLimit,
    bytes: usize,
    pub(super) entries: Vec<Entry>,
}

impl Page {
    pub(super) fn new(limit: ReadLimit) -> Self {
        Self {
            limit,
            bytes: 0,
            entries: Vec::new(),
        }
    }

    /// Steps through rows with `high`, `low` and `fields` until the page is full.
    pub(super) fn fill(mut self, rows: &mut Rows<'_>) -> Result<Vec<Entry>, Fault> {
        while !self.is_full() {
            let Some(row) = rows.next()? else { break };
            let id = Columns::of(row)?.id();
            if !self.push(id, row)? {
                break;
            }
        }
        Ok(self.entries)
    }

    pub(super) fn is_full(&self) -> bool {
        self.entries.len() >= self.limit.count
            || (!self.entries.is_empty() && self.bytes >= self.limit.bytes)
    }

    /// Adds the entry of a row, or says no if it is broken and sound ones are to be delivered
    /// first. Only a read that starts with it fails.
    pub(super) fn push(&mut self, id: EntryId, row: &Row<'_>) -> Result<bool, Fault> {
        let blob = Bytes::copy_from_slice(
            row.get_ref("fields")?
                .as_blob()
                .map_err(|error| Fault::corrupt(format!("entry {id}: {error}")))?,
        );
        match blob::decode(&blob) {
            Ok(fields) => {
                self.bytes += fields.byte_len();
                self.entries.push(Entry { id, fields });
                Ok(true)
            }
            Err(error) if self.entries.is_empty() => {
                Err(Fault::corrupt(format!("entry {id}: {error}")))
            }
            Err(_) => Ok(false),
        }
    }
}

/// A number of rows for SQL. As a limit it must not turn negative, which would mean none.
pub(super) fn row_count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
