use std::collections::HashMap;

use bytes::Bytes;
use millstream_core::descriptor::Descriptor;
use millstream_core::entry::{Entry, EntryId, Shard};
use millstream_core::log::{Appended, Log};
use millstream_core::name::{AppName, DatabaseId, StreamName};
use millstream_core::outbox::OutboxRow;
use millstream_core::wire;

use crate::site::STREAM;

const SHARDS: u16 = 4;

/// Entries of one append.
const BATCH: usize = 1_000;

/// Bytes of the data of an event, about.
const DATA_BYTES: usize = 300;

/// Events about each person.
const EVENTS_PER_PERSON: u64 = 10;

/// Fills a log as CRM's relay would have, with this many events for HR's database.
pub(super) async fn fill(log: &dyn Log, follower: &DatabaseId, events: u64) -> anyhow::Result<()> {
    let descriptor = Descriptor::new(
        StreamName::new(STREAM)?,
        AppName::new("crm")?,
        DatabaseId::new("made-for-the-proof")?,
        SHARDS,
    )
    .with_subscriber(&AppName::new("hr")?, follower);
    log.announce(&descriptor).await?;
    let mut shards: Vec<Filling> = descriptor.shards().map(Filling::new).collect();
    for number in 1..=events {
        let user = (number % (events / EVENTS_PER_PERSON).max(1)).to_string();
        let shard = usize::from(Shard::number_of(b"acme", user.as_bytes(), SHARDS));
        shards[shard].add(number, user);
        if shards[shard].entries.len() == BATCH {
            shards[shard].append(log).await?;
        }
    }
    for shard in &mut shards {
        shard.append(log).await?;
    }
    Ok(())
}

struct Filling {
    shard: Shard,
    appended: EntryId,
    top: EntryId,
    prev: Option<Bytes>,
    versions: HashMap<String, u64>,
    entries: Vec<Entry>,
}

impl Filling {
    fn new(shard: Shard) -> Self {
        Self {
            shard,
            appended: EntryId::ZERO,
            top: EntryId::new(1, 0),
            prev: None,
            versions: HashMap::new(),
            entries: Vec::with_capacity(BATCH),
        }
    }

    fn add(&mut self, number: u64, user: String) {
        self.top.low += 1;
        let version = self.versions.entry(user.clone()).or_default();
        *version += 1;
        let id = Bytes::from(format!("event-{number:08}"));
        let row = OutboxRow {
            shard: self.shard.number,
            at: self.top,
            prev: self.prev.replace(id.clone()),
            event_id: id,
            event_type: Bytes::from_static(b"user.updated"),
            version: Bytes::from_static(b"1.0"),
            target: Bytes::from_static(b"*"),
            tenant: Bytes::from_static(b"acme"),
            entity: user.clone().into(),
            partition_key: user.into(),
            entity_version: *version,
            timestamp: Bytes::from_static(b"2024-05-01T00:00:00Z"),
            published_by: Bytes::from_static(b"system"),
            data: data(number).into(),
            metadata: Bytes::from_static(b"{}"),
        };
        self.entries
            .push(wire::encode_owned(&row, &self.shard.owner));
    }

    async fn append(&mut self, log: &dyn Log) -> anyhow::Result<()> {
        let Some(last) = self.entries.last().map(|entry| entry.id) else {
            return Ok(());
        };
        let appended = log
            .append(&self.shard, self.appended, &self.entries)
            .await?;
        anyhow::ensure!(
            appended == Appended::Added,
            "the log is not empty: {appended:?}"
        );
        self.appended = last;
        self.entries.clear();
        Ok(())
    }
}

fn data(number: u64) -> String {
    let mut data = format!(r#"{{"firstName":"Ann {number}","lastName":"Weiß","email":""#);
    let end = "@example.com\"}";
    data.extend(std::iter::repeat_n(
        'x',
        DATA_BYTES.saturating_sub(data.len() + end.len()),
    ));
    data.push_str(end);
    data
}
