use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio_postgres::{GenericClient, Row};

use millstream_core::clock::Timestamp;
use millstream_core::entry::{EntryId, Shard};
use millstream_core::error::Error;
use millstream_core::lease::{Checkpoint, Lease};
use millstream_core::name::{AppName, EventId, StreamName};
use millstream_core::outbox::{Inserted, NewEvent, Outbox, OutboxRow, Registered};

use crate::postgres::bound;
use crate::postgres::database::{Database, while_doing};
use crate::postgres::leases::number;
use crate::postgres::number::number_rows;
use crate::postgres::publish::publish_once;
use crate::postgres::{generation, notify, prune, subscribers};
use crate::tops::stream_of;
use crate::wait;

/// Bytes of rows that one call brings into memory. The first row always comes.
pub(super) const BYTES_MAX: i64 = 4 * 1024 * 1024;

/// The columns of an [`OutboxRow`], in the order in which [`read_row`] takes them.
pub(super) const COLUMNS: &str = "event_id, event_type, version, target_application, tenant_id, \
                                  entity_id, partition_key, entity_version, occurred_at, \
                                  published_by, event_data, metadata";

/// The bytes of a row. Everything else has at most a few hundred, by the table's own checks.
pub(super) const LENGTH: &str = "octet_length(event_data) + octet_length(metadata) + 512";

#[async_trait]
impl Outbox for Database {
    async fn number(
        &self,
        tops: &[Lease],
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<OutboxRow>, Error> {
        number_rows(self, tops, limit, now).await
    }

    async fn numbered(
        &self,
        shard: &Shard,
        after: EntryId,
        limit: usize,
    ) -> Result<Vec<OutboxRow>, Error> {
        const DOING: &str = "read numbered events";
        let failed = while_doing(DOING);
        let db = self.connection(DOING).await?;
        // The columns come before the window: it must not read what is above the bound.
        let query = db
            .prepare_cached(&self.sql(&format!(
                "SELECT {COLUMNS}, generation, seq FROM ~outbox
                 WHERE id IN (
                   SELECT id FROM (
                     SELECT id, sum(bytes) OVER (ORDER BY generation, seq) - bytes AS before FROM (
                       SELECT id, generation, seq, {LENGTH} AS bytes FROM ~outbox
                       WHERE stream = $1 AND shard = $2 AND seq IS NOT NULL
                         AND (generation, seq) > ($3, $4)
                       ORDER BY generation, seq LIMIT $5
                     ) next
                   ) bounded WHERE before < $6
                 )
                 ORDER BY generation, seq"
            )))
            .await
            .map_err(failed)?;
        let found = db
            .query(
                &query,
                &[
                    &shard.stream.as_str(),
                    &i32::from(shard.number),
                    &after.high.cast_signed(),
                    &after.low.cast_signed(),
                    &i64::try_from(limit).unwrap_or(i64::MAX),
                    &BYTES_MAX,
                ],
            )
            .await
            .map_err(failed)?;
        let mut rows: Vec<OutboxRow> = Vec::with_capacity(found.len());
        for row in &found {
            let at = EntryId::new(number(row, 12), number(row, 13));
            let before = match rows.last() {
                // The first one of a generation follows nothing.
                _ if at.low <= 1 => None,
                Some(last) => Some(last.event_id.clone()),
                None => event_at(&**db, self, shard, EntryId::new(at.high, at.low - 1))
                    .await
                    .map_err(failed)?,
            };
            let mut row = read_row(row, 0);
            row.shard = shard.number;
            row.at = at;
            row.prev = before.filter(|id| event_id(id).is_some());
            rows.push(row);
        }
        Ok(rows)
    }

    async fn checkpoint_at(&self, shard: &Shard, at: EntryId) -> Result<Option<Checkpoint>, Error> {
        const DOING: &str = "look up a seq";
        let db = self.connection(DOING).await?;
        let found = event_at(&**db, self, shard, at)
            .await
            .map_err(while_doing(DOING))?;
        Ok(found.map(|id| Checkpoint {
            at,
            event_id: event_id(&id),
        }))
    }

    async fn unsent(&self, stream: &StreamName) -> Result<u64, Error> {
        const DOING: &str = "count unsent events";
        let db = self.connection(DOING).await?;
        let sql = "SELECT count(*) FROM ~outbox WHERE stream = $1 AND seq IS NULL";
        db.query_one(&self.sql(sql), &[&stream.as_str()])
            .await
            .map(|row| number(&row, 0))
            .map_err(while_doing(DOING))
    }

    async fn insert(&self, stream: &StreamName, events: &[NewEvent]) -> Result<Inserted, Error> {
        const DOING: &str = "write to the outbox";
        let failed = while_doing(DOING);
        let mut db = self.connection(DOING).await?;
        let tx = db.transaction().await.map_err(failed)?;
        let inserted = publish_once(&tx, &self.options.prefix, stream, events).await?;
        tx.commit().await.map_err(failed)?;
        Ok(inserted)
    }

    async fn adopt(&self, stream: &StreamName) -> Result<(), Error> {
        const DOING: &str = "name the stream of events without one";
        let failed = while_doing(DOING);
        let mut db = self.connection(DOING).await?;
        let tx = db.transaction().await.map_err(failed)?;
        tx.execute(
            &self.sql(
                "INSERT INTO ~millstream_meta (name, value) VALUES ('stream', $1)
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            ),
            &[&stream.as_str()],
        )
        .await
        .map_err(failed)?;
        let sql = "UPDATE ~outbox SET stream = $1 WHERE stream IS NULL AND seq IS NULL";
        tx.execute(&self.sql(sql), &[&stream.as_str()])
            .await
            .map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        self.bounds.forget(stream);
        Ok(())
    }

    async fn stranded(&self, streams: &[StreamName]) -> Result<u64, Error> {
        const DOING: &str = "look for events that nobody sends";
        let known: Vec<&str> = streams.iter().map(StreamName::as_str).collect();
        let db = self.connection(DOING).await?;
        db.query_one(
            &self.sql(
                "SELECT count(*) FROM ~outbox
                 WHERE seq IS NULL AND (stream IS NULL OR stream <> ALL ($1::text[]))",
            ),
            &[&known],
        )
        .await
        .map(|row| number(&row, 0))
        .map_err(while_doing(DOING))
    }

    async fn wait(&self, stream: &StreamName, wait: Duration) {
        match self.options.notify {
            true => notify::wait(self, stream, wait).await,
            false => wait::until(wait, || bound::anything_waits(self, stream)).await,
        }
    }

    async fn subscribers(&self, stream: &StreamName) -> Result<Vec<Registered>, Error> {
        subscribers::list(self, stream).await
    }

    async fn subscribe(&self, tops: &[Lease], subscriber: &Registered) -> Result<(), Error> {
        subscribers::subscribe(self, tops, subscriber).await
    }

    async fn record_receipts(&self, tops: &[Lease], changed: &[Registered]) -> Result<(), Error> {
        subscribers::record_receipts(self, tops, changed).await
    }

    async fn unsubscribe(&self, stream: &StreamName, application: &AppName) -> Result<bool, Error> {
        subscribers::unsubscribe(self, stream, application).await
    }

    async fn prune(
        &self,
        top: &Lease,
        through: EntryId,
        numbered_before: Timestamp,
        limit: usize,
    ) -> Result<EntryId, Error> {
        prune::prune(self, top, through, numbered_before, limit).await
    }

    async fn pruned(&self, stream: &StreamName) -> Result<Vec<EntryId>, Error> {
        prune::marks(self, stream).await
    }

    async fn left_behind(&self, tops: &[Lease]) -> Result<Vec<EntryId>, Error> {
        generation::left_behind(self, tops).await
    }

    async fn begin_generation(
        &self,
        tops: &[Lease],
        settled: &[EntryId],
        above: u64,
    ) -> Result<Vec<Checkpoint>, Error> {
        let begun = generation::begin(self, tops, settled, above).await;
        // Also after an error: the commit may have got through.
        self.bounds.forget(stream_of(tops)?);
        begun
    }
}

/// The id of the event that has this number, also of the last one that was pruned.
async fn event_at(
    client: &impl GenericClient,
    db: &Database,
    shard: &Shard,
    at: EntryId,
) -> Result<Option<Bytes>, tokio_postgres::Error> {
    let row = client
        .query_opt(
            &db.sql(
                "SELECT event_id FROM ~outbox
                 WHERE stream = $1 AND shard = $2 AND generation = $3 AND seq = $4",
            ),
            &[
                &shard.stream.as_str(),
                &i32::from(shard.number),
                &at.high.cast_signed(),
                &at.low.cast_signed(),
            ],
        )
        .await?;
    match row {
        Some(row) => Ok(Some(bytes(&row, 0))),
        None => prune::event_at(client, db, shard, at).await,
    }
}

/// A damaged id counts as none.
pub(super) fn event_id(id: &[u8]) -> Option<EventId> {
    EventId::new(std::str::from_utf8(id).ok()?).ok()
}

pub(super) fn read_row(row: &Row, first: usize) -> OutboxRow {
    let entity = bytes(row, first + 5);
    let partition_key = bytes(row, first + 6);
    OutboxRow {
        shard: 0,
        at: EntryId::ZERO,
        prev: None,
        event_id: bytes(row, first),
        event_type: bytes(row, first + 1),
        version: bytes(row, first + 2),
        target: bytes(row, first + 3),
        tenant: bytes(row, first + 4),
        partition_key: if partition_key.is_empty() {
            entity.clone()
        } else {
            partition_key
        },
        entity,
        entity_version: row
            .get::<_, Option<i64>>(first + 7)
            .unwrap_or(0)
            .unsigned_abs(),
        timestamp: bytes(row, first + 8),
        published_by: bytes(row, first + 9),
        data: bytes(row, first + 10),
        metadata: bytes(row, first + 11),
    }
}

/// The bytes of a text; none for null.
pub(super) fn bytes(row: &Row, column: usize) -> Bytes {
    let text: Option<&str> = row.get(column);
    text.map_or_else(Bytes::new, |text| Bytes::copy_from_slice(text.as_bytes()))
}
