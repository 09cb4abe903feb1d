use millstream_core::entry::Entry;
use millstream_core::log::ReadLimit;

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

    pub(super) fn is_full(&self) -> bool {
        self.entries.len() >= self.limit.count
            || (!self.entries.is_empty() && self.bytes >= self.limit.bytes)
    }

    /// Takes entries until it is full, and leaves the others to the next read.
    pub(super) fn fill(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            if self.is_full() {
                break;
            }
            self.bytes += entry.fields.byte_len();
            self.entries.push(entry);
        }
    }

    /// What there is still room for.
    pub(super) fn rest(&self) -> ReadLimit {
        ReadLimit {
            count: self.limit.count.saturating_sub(self.entries.len()),
            bytes: self.limit.bytes.saturating_sub(self.bytes),
        }
    }
}
