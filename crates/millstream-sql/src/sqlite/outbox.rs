use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::types::ValueRef;
use rusqlite::{OptionalExtension, Row, params};

use millstream_core::clock::Timestamp;
use millstream_core::entry::{EntryId, Shard};
use millstream_core::error::Error;
use millstream_core::lease::{Checkpoint, Lease};
use millstream_core::name::{AppName, EventId, StreamName};
use millstream_core::outbox::{Inserted, NewEvent, Outbox, OutboxRow, Registered};

use crate::sqlite::database::{Database, Options, while_doing};
use crate::sqlite::leases::{compare_and_set, immediate, number};
use crate::sqlite::publish::publish_once;
use crate::sqlite::{generation, prune, subscribers};
use crate::tops::owned;
use crate::wait;

/// Bytes of rows that one call brings into memory. The first row always comes.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// The columns of an [`OutboxRow`], in the order in which [`read_row`] takes them.
const COLUMNS: &str = "event_id, event_type, version, target_application, tenant_id, entity_id, \
                       partition_key, entity_version, occurred_at, published_by, event_data, \
                       metadata";

#[async_trait]
impl Outbox for Database {
    async fn number(
        &self,
        tops: &[Lease],
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<OutboxRow>, Error> {
        let tops = tops.to_vec();
        self.write(move |db, options| number_rows(db, options, &tops, limit, now))
            .await
    }

    async fn numbered(
        &self,
        shard: &Shard,
        after: EntryId,
        limit: usize,
    ) -> Result<Vec<OutboxRow>, Error> {
        let shard = shard.clone();
        self.read(move |db, options| {
            let failed = while_doing("read numbered events");
            let tx = db.transaction().map_err(&failed)?;
            let mut query = tx
                .prepare_cached(&options.prefix.sql(&format!(
                    "SELECT {COLUMNS}, generation, seq FROM ~outbox
                     WHERE stream = ?1 AND shard = ?2 AND seq IS NOT NULL
                       AND (generation, seq) > (?3, ?4)
                     ORDER BY generation, seq LIMIT ?5"
                )))
                .map_err(&failed)?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let mut found = query
                .query(params![
                    shard.stream.as_str(),
                    shard.number,
                    after.high.cast_signed(),
                    after.low.cast_signed(),
                    limit,
                ])
                .map_err(&failed)?;
            let mut rows: Vec<OutboxRow> = Vec::new();
            let mut bytes = 0;
            while let Some(row) = found.next().map_err(&failed)? {
                let at = EntryId::new(
                    number(row, 12).map_err(&failed)?,
                    number(row, 13).map_err(&failed)?,
                );
                let mut row = read_row(row, 0).map_err(&failed)?;
                row.shard = shard.number;
                row.at = at;
                let before = match rows.last() {
                    // The first one of a generation follows nothing.
                    _ if at.low <= 1 => None,
                    Some(last) => Some(last.event_id.clone()),
                    None => event_at(&tx, options, &shard, EntryId::new(at.high, at.low - 1))
                        .map_err(&failed)?,
                };
                row.prev = before.filter(|id| event_id(id).is_some());
                bytes += byte_len(&row);
                rows.push(row);
                if bytes >= BYTES_MAX {
                    break;
                }
            }
            Ok(rows)
        })
        .await
    }

    async fn checkpoint_at(&self, shard: &Shard, at: EntryId) -> Result<Option<Checkpoint>, Error> {
        let shard = shard.clone();
        self.read(move |db, options| {
            let found = event_at(db, options, &shard, at).map_err(while_doing("look up a seq"))?;
            Ok(found.map(|id| Checkpoint {
                at,
                event_id: event_id(&id),
            }))
        })
        .await
    }

    async fn unsent(&self, stream: &StreamName) -> Result<u64, Error> {
        let stream = stream.clone();
        self.read(move |db, options| {
            let sql = "SELECT count(*) FROM ~outbox WHERE stream = ?1 AND seq IS NULL";
            db.prepare_cached(&options.prefix.sql(sql))
                .and_then(|mut query| query.query_row([stream.as_str()], |row| number(row, 0)))
                .map_err(while_doing("count unsent events"))
        })
        .await
    }

    async fn insert(&self, stream: &StreamName, events: &[NewEvent]) -> Result<Inserted, Error> {
        let stream = stream.clone();
        let events = events.to_vec();
        self.write(move |db, options| {
            let failed = while_doing("write to the outbox");
            let tx = immediate(db, &failed)?;
            let mut inserted = Inserted::default();
            for event in &events {
                if publish_once(&tx, &options.prefix, Some(&stream), event)? {
                    inserted.added += 1;
                } else {
                    inserted.repeated += 1;
                }
            }
            tx.commit().map_err(&failed)?;
            Ok(inserted)
        })
        .await
    }

    async fn adopt(&self, stream: &StreamName) -> Result<(), Error> {
        let stream = stream.clone();
        self.write(move |db, options| {
            let failed = while_doing("name the stream of events without one");
            let tx = immediate(db, &failed)?;
            tx.execute(
                &options.prefix.sql(
                    "INSERT INTO ~millstream_meta (name, value) VALUES ('stream', ?1)
                     ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                ),
                [stream.as_str()],
            )
            .map_err(&failed)?;
            let sql = "UPDATE ~outbox SET stream = ?1 WHERE stream IS NULL AND seq IS NULL";
            tx.execute(&options.prefix.sql(sql), [stream.as_str()])
                .map_err(&failed)?;
            tx.commit().map_err(&failed)
        })
        .await
    }

    async fn stranded(&self, streams: &[StreamName]) -> Result<u64, Error> {
        let streams = streams.to_vec();
        self.read(move |db, options| {
            let failed = while_doing("look for events that nobody sends");
            let sql = "SELECT stream, count(*) FROM ~outbox WHERE seq IS NULL GROUP BY stream";
            let mut query = db
                .prepare_cached(&options.prefix.sql(sql))
                .map_err(&failed)?;
            let mut rows = query.query([]).map_err(&failed)?;
            let mut stranded = 0;
            while let Some(row) = rows.next().map_err(&failed)? {
                let stream: Option<String> = row.get(0).map_err(&failed)?;
                let known = |name: &StreamName| stream.as_deref() == Some(name.as_str());
                if !streams.iter().any(known) {
                    stranded += number(row, 1).map_err(&failed)?;
                }
            }
            Ok(stranded)
        })
        .await
    }

    async fn wait(&self, stream: &StreamName, wait: Duration) {
        wait::until(wait, || self.is_waiting(stream)).await;
    }

    async fn subscribers(&self, stream: &StreamName) -> Result<Vec<Registered>, Error> {
        let stream = stream.clone();
        self.read(move |db, options| subscribers::list(db, options, &stream))
            .await
    }

    async fn subscribe(&self, tops: &[Lease], subscriber: &Registered) -> Result<(), Error> {
        let (tops, subscriber) = (tops.to_vec(), subscriber.clone());
        self.write(move |db, options| subscribers::subscribe(db, options, &tops, &subscriber))
            .await
    }

    async fn record_receipts(&self, tops: &[Lease], changed: &[Registered]) -> Result<(), Error> {
        let (tops, changed) = (tops.to_vec(), changed.to_vec());
        self.write(move |db, options| subscribers::record_receipts(db, options, &tops, &changed))
            .await
    }

    async fn unsubscribe(&self, stream: &StreamName, application: &AppName) -> Result<bool, Error> {
        let (stream, application) = (stream.clone(), application.clone());
        self.write(move |db, options| subscribers::unsubscribe(db, options, &stream, &application))
            .await
    }

    async fn prune(
        &self,
        top: &Lease,
        through: EntryId,
        numbered_before: Timestamp,
        limit: usize,
    ) -> Result<EntryId, Error> {
        let top = top.clone();
        self.write(move |db, options| {
            prune::prune(db, options, &top, through, numbered_before, limit)
        })
        .await
    }

    async fn pruned(&self, stream: &StreamName) -> Result<Vec<EntryId>, Error> {
        let stream = stream.clone();
        self.read(move |db, options| {
            prune::marks(db, options, &stream)
                .map_err(while_doing("read how far the outbox is pruned"))
        })
        .await
    }

    async fn left_behind(&self, tops: &[Lease]) -> Result<Vec<EntryId>, Error> {
        let tops = tops.to_vec();
        self.read(move |db, options| generation::left_behind(db, options, &tops))
            .await
    }

    async fn begin_generation(
        &self,
        tops: &[Lease],
        settled: &[EntryId],
        above: u64,
    ) -> Result<Vec<Checkpoint>, Error> {
        let (tops, settled) = (tops.to_vec(), settled.to_vec());
        self.write(move |db, options| generation::begin(db, options, &tops, &settled, above))
            .await
    }
}

impl Database {
    async fn is_waiting(&self, stream: &StreamName) -> Result<bool, Error> {
        let stream = stream.clone();
        self.read(move |db, options| {
            let sql = "SELECT EXISTS (SELECT 1 FROM ~outbox WHERE stream = ?1 AND seq IS NULL)";
            db.prepare_cached(&options.prefix.sql(sql))
                .and_then(|mut query| query.query_row([stream.as_str()], |row| row.get(0)))
                .map_err(while_doing("look for unsent events"))
        })
        .await
    }
}

/// Numbers rows in the order of their ids, which SQLite's one writer makes the order of their keys'
/// versions too.
fn number_rows(
    db: &mut rusqlite::Connection,
    options: &Options,
    tops: &[Lease],
    limit: usize,
    now: Timestamp,
) -> Result<Vec<OutboxRow>, Error> {
    let failed = while_doing("number events");
    let shards: Vec<&Shard> = tops.iter().map(owned).collect::<Result<_, _>>()?;
    let Some(stream) = shards.first().map(|shard| shard.stream.as_str()) else {
        return Ok(Vec::new());
    };
    let count = u16::try_from(tops.len()).unwrap_or(u16::MAX);

    let tx = immediate(db, &failed)?;
    let mut rows = Vec::new();
    let mut raised: BTreeMap<usize, Checkpoint> = BTreeMap::new();
    {
        let mut query = tx
            .prepare_cached(&options.prefix.sql(&format!(
                "SELECT id, {COLUMNS} FROM ~outbox
                 WHERE stream = ?1 AND seq IS NULL ORDER BY id LIMIT ?2"
            )))
            .map_err(&failed)?;
        let mut mark = tx
            .prepare_cached(&options.prefix.sql(
                "UPDATE ~outbox SET shard = ?2, generation = ?3, seq = ?4, numbered_at = ?5
                 WHERE id = ?1",
            ))
            .map_err(&failed)?;

        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut found = query.query(params![stream, limit]).map_err(&failed)?;
        let mut ids = Vec::new();
        let mut bytes = 0;
        while let Some(row) = found.next().map_err(&failed)? {
            let id: i64 = row.get(0).map_err(&failed)?;
            let mut row = read_row(row, 1).map_err(&failed)?;
            row.shard = Shard::number_of(&row.tenant, &row.partition_key, count);
            let index = usize::from(row.shard);
            let top = raised
                .entry(index)
                .or_insert_with(|| tops[index].checkpoint.clone());
            row.prev = top
                .event_id
                .as_ref()
                .map(|id| Bytes::copy_from_slice(id.as_str().as_bytes()));
            row.at = EntryId::new(top.at.high.max(1), top.at.low + 1);
            *top = Checkpoint {
                at: row.at,
                event_id: event_id(&row.event_id),
            };
            bytes += byte_len(&row);
            ids.push(id);
            rows.push(row);
            if bytes >= BYTES_MAX {
                break;
            }
        }
        drop(found);

        // First: rows that another relay numbered meanwhile would only meet the unique index.
        for (index, to) in &raised {
            let top = &tops[*index];
            compare_and_set(&tx, &options.prefix, top, &top.checkpoint, to)?;
        }
        for (id, row) in ids.iter().zip(&rows) {
            let (generation, seq) = (row.at.high.cast_signed(), row.at.low.cast_signed());
            mark.execute(params![id, row.shard, generation, seq, now.as_millis()])
                .map_err(&failed)?;
        }
    }
    tx.commit().map_err(&failed)?;
    Ok(rows)
}

/// The id of the event that has this number, also of the last one that was pruned.
fn event_at(
    db: &rusqlite::Connection,
    options: &Options,
    shard: &Shard,
    at: EntryId,
) -> rusqlite::Result<Option<Bytes>> {
    let kept = db
        .prepare_cached(&options.prefix.sql(
            "SELECT event_id FROM ~outbox
             WHERE stream = ?1 AND shard = ?2 AND generation = ?3 AND seq = ?4",
        ))?
        .query_row(prune::place(shard, at), |row| bytes(row, 0))
        .optional()?;
    match kept {
        Some(id) => Ok(Some(id)),
        None => prune::event_at(db, &options.prefix, shard, at),
    }
}

/// A damaged id counts as none: SQLite does not check that text is UTF-8.
fn event_id(id: &[u8]) -> Option<EventId> {
    EventId::new(std::str::from_utf8(id).ok()?).ok()
}

fn read_row(row: &Row<'_>, first: usize) -> rusqlite::Result<OutboxRow> {
    let entity = bytes(row, first + 5)?;
    let partition_key = bytes(row, first + 6)?;
    Ok(OutboxRow {
        shard: 0,
        at: EntryId::ZERO,
        prev: None,
        event_id: bytes(row, first)?,
        event_type: bytes(row, first + 1)?,
        version: bytes(row, first + 2)?,
        target: bytes(row, first + 3)?,
        tenant: bytes(row, first + 4)?,
        partition_key: if partition_key.is_empty() {
            entity.clone()
        } else {
            partition_key
        },
        entity,
        entity_version: row
            .get::<_, Option<i64>>(first + 7)?
            .unwrap_or(0)
            .unsigned_abs(),
        timestamp: bytes(row, first + 8)?,
        published_by: bytes(row, first + 9)?,
        data: bytes(row, first + 10)?,
        metadata: bytes(row, first + 11)?,
    })
}

/// The bytes of a column as they are: SQLite does not check that text is UTF-8.
pub(super) fn bytes(row: &Row<'_>, column: usize) -> rusqlite::Result<Bytes> {
    Ok(match row.get_ref(column)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Bytes::copy_from_slice(bytes),
        ValueRef::Integer(value) => Bytes::from(value.to_string()),
        ValueRef::Real(value) => Bytes::from(value.to_string()),
        ValueRef::Null => Bytes::new(),
    })
}

fn byte_len(row: &OutboxRow) -> usize {
    // Everything else has at most a few hundred bytes, by the table's own checks.
    row.data.len() + row.metadata.len() + 512
}
