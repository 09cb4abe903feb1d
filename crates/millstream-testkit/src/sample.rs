//! Entries, shards and names with little text.

use std::ops::RangeInclusive;

use bytes::Bytes;

use millstream_core::entry::{Entry, EntryId, Fields, Shard};
use millstream_core::name::{AppName, DatabaseId, InstanceId, StreamName};

/// An application.
pub fn app(name: &str) -> AppName {
    AppName::new(name).expect("a valid name")
}

/// A database.
pub fn database(id: &str) -> DatabaseId {
    DatabaseId::new(id).expect("a valid id")
}

/// A process.
pub fn instance(id: &str) -> InstanceId {
    InstanceId::new(id).expect("a valid name")
}

/// A stream.
pub fn stream(name: &str) -> StreamName {
    StreamName::new(name).expect("a valid name")
}

/// A shard of `crm`'s stream `events`.
pub fn shard(number: u16) -> Shard {
    Shard {
        stream: stream("events"),
        owner: app("crm"),
        number,
    }
}

/// Two fields: this seq, and some text.
pub fn fields(seq: u64) -> Fields {
    let mut fields = Fields::with_capacity(2);
    fields.push("seq", seq.to_string());
    fields.push("eventData", format!(r#"{{"number":{seq}}}"#));
    fields
}

/// The entry `1-seq`, with [`fields`] of its seq.
pub fn entry(seq: u64) -> Entry {
    entry_at(EntryId::new(1, seq), fields(seq))
}

/// Any entry.
pub fn entry_at(id: EntryId, fields: Fields) -> Entry {
    Entry { id, fields }
}

/// The entries of generation 1 with these seqs.
pub fn entries(seqs: RangeInclusive<u64>) -> Vec<Entry> {
    seqs.map(entry).collect()
}

/// The entry `1-seq` with one field `blob` of this size.
pub fn sized_entry(seq: u64, bytes: usize) -> Entry {
    let mut fields = Fields::with_capacity(1);
    fields.push("blob", Bytes::from(vec![b'x'; bytes - "blob".len()]));
    entry_at(EntryId::new(1, seq), fields)
}
