use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use mysql_async::Row;

use millstream_core::clock::Timestamp;
use millstream_core::entry::{EntryId, Shard};
use millstream_core::error::Error;
use millstream_core::lease::{Checkpoint, Lease};
use millstream_core::name::{AppName, EventId, StreamName};
use millstream_core::outbox::{Inserted, NewEvent, Outbox, OutboxRow, Registered};

use crate::mysql::database::Database;
use crate::mysql::migrate::meta;
use crate::mysql::prune::{place, range};
use crate::mysql::publish::{insert, lock_keys};
use crate::mysql::row::{bytes, entry_id, integer, number, text};
use crate::mysql::session::{Session, values};
use crate::mysql::{generation, number as numbering, prune, subscribers};
use crate::wait;

/// Bytes of rows that one call brings into memory. The first row always comes.
pub(super) const BYTES_MAX: usize = 4 * 1024 * 1024;

/// Rows that one statement reads at most: the driver holds all of them.
const ROWS_MAX: usize = 64;

/// The columns of an [`OutboxRow`], in the order in which [`read_row`] takes them.
pub(super) const COLUMNS: &str = "event_id, event_type, version, target_application, tenant_id, entity_id, partition_key, \
     entity_version, occurred_at, published_by, event_data, metadata";

#[async_trait]
impl Outbox for Database {
    async fn number(
        &self,
        tops: &[Lease],
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<OutboxRow>, Error> {
        numbering::number(self, tops, limit, now).await
    }

    async fn numbered(
        &self,
        shard: &Shard,
        after: EntryId,
        limit: usize,
    ) -> Result<Vec<OutboxRow>, Error> {
        let sql = self.sql(&format!(
            "SELECT {COLUMNS}, generation, seq FROM ~outbox
             WHERE stream = ? AND shard = ? AND seq IS NOT NULL AND generation >= ?
               AND (generation > ? OR seq > ?)
             ORDER BY generation, seq LIMIT ?"
        ));
        let mut session = self.session().await?;
        let mut rows: Vec<OutboxRow> = Vec::new();
        let (mut after, mut bytes) = (after, 0);
        while rows.len() < limit && bytes < BYTES_MAX {
            let page = ROWS_MAX.min(limit - rows.len());
            let mut parameters = range(shard, after);
            parameters.push(page.into());
            let found = session
                .all("read numbered events", &sql, parameters)
                .await?;
            for found in &found {
                let mut row = read_row(found, 0);
                row.shard = shard.number;
                row.at = entry_id(found, 12);
                let before = match rows.last() {
                    // The first one of a generation follows nothing.
                    _ if row.at.low <= 1 => None,
                    Some(last) => Some(last.event_id.clone()),
                    None => event_at(&mut session, self, shard, row.at.before()).await?,
                };
                row.prev = before.filter(|id| event_id(id).is_some());
                after = row.at;
                bytes += byte_len(&row);
                rows.push(row);
                if bytes >= BYTES_MAX {
                    break;
                }
            }
            if found.len() < page {
                break;
            }
        }
        session.give_back();
        Ok(rows)
    }

    async fn checkpoint_at(&self, shard: &Shard, at: EntryId) -> Result<Option<Checkpoint>, Error> {
        let mut session = self.session().await?;
        let found = event_at(&mut session, self, shard, at).await?;
        session.give_back();
        Ok(found.map(|id| Checkpoint {
            at,
            event_id: event_id(&id),
        }))
    }

    async fn unsent(&self, stream: &StreamName) -> Result<u64, Error> {
        let sql = self.sql("SELECT count(*) FROM ~outbox WHERE stream = ? AND seq IS NULL");
        let mut session = self.session().await?;
        let doing = "count unsent events";
        let row = session.first(doing, &sql, values![stream.as_str()]).await?;
        session.give_back();
        Ok(row.map_or(0, |row| number(&row, 0)))
    }

    async fn insert(&self, stream: &StreamName, events: &[NewEvent]) -> Result<Inserted, Error> {
        let prefix = &self.options.prefix;
        let mut session = self.begin("write to the outbox").await?;
        lock_keys(session.conn(), prefix, events).await?;
        let mut inserted = Inserted::default();
        for event in events {
            match insert(session.conn(), prefix, Some(stream), event).await? {
                Ok(_) => inserted.added += 1,
                Err(_) => inserted.repeated += 1,
            }
        }
        session.commit("write to the outbox").await?;
        Ok(inserted)
    }

    async fn adopt(&self, stream: &StreamName) -> Result<(), Error> {
        let doing = "name the stream of events without one";
        let mut session = self.begin(doing).await?;
        session.be_patient();
        // Writers that repeat their reads hold this line as long as their transactions last.
        let known = meta(&mut session, &self.options.prefix, "stream").await?;
        if known.as_deref() != Some(stream.as_str()) {
            let sql = self.sql(
                "INSERT INTO ~millstream_meta (name, value) VALUES ('stream', ?)
                 ON DUPLICATE KEY UPDATE value = VALUES(value)",
            );
            session.run(doing, &sql, values![stream.as_str()]).await?;
        }
        let sql = self.sql("UPDATE ~outbox SET stream = ? WHERE stream IS NULL AND seq IS NULL");
        session.run(doing, &sql, values![stream.as_str()]).await?;
        session.commit(doing).await
    }

    async fn stranded(&self, streams: &[StreamName]) -> Result<u64, Error> {
        let sql =
            self.sql("SELECT stream, count(*) FROM ~outbox WHERE seq IS NULL GROUP BY stream");
        let mut session = self.session().await?;
        let doing = "look for events that nobody sends";
        let rows = session.all(doing, &sql, vec![]).await?;
        session.give_back();
        let is_stranded = |row: &&Row| {
            let stream = text(row, 0);
            !streams
                .iter()
                .any(|name| stream.as_deref() == Some(name.as_str()))
        };
        Ok(rows
            .iter()
            .filter(is_stranded)
            .map(|row| number(row, 1))
            .sum())
    }

    async fn wait(&self, stream: &StreamName, wait: Duration) {
        wait::until(wait, || self.is_waiting(stream)).await;
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
        generation::begin(self, tops, settled, above).await
    }
}

impl Database {
    async fn is_waiting(&self, stream: &StreamName) -> Result<bool, Error> {
        let sql =
            self.sql("SELECT EXISTS (SELECT 1 FROM ~outbox WHERE stream = ? AND seq IS NULL)");
        let mut session = self.session().await?;
        let doing = "look for unsent events";
        let row = session.first(doing, &sql, values![stream.as_str()]).await?;
        session.give_back();
        Ok(row.is_some_and(|row| integer(&row, 0) != 0))
    }
}

/// The id of the event that has this number, also of the last one that was pruned.
async fn event_at(
    session: &mut Session,
    db: &Database,
    shard: &Shard,
    at: EntryId,
) -> Result<Option<Bytes>, Error> {
    let sql = db.sql(
        "SELECT event_id FROM ~outbox
         WHERE stream = ? AND shard = ? AND generation = ? AND seq = ?",
    );
    let kept = session
        .first("look up a seq", &sql, place(shard, at))
        .await?;
    match kept {
        Some(row) => Ok(Some(bytes(&row, 0))),
        None => prune::event_at(session, &db.options.prefix, shard, at).await,
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
        partition_key: match partition_key.is_empty() {
            true => entity.clone(),
            false => partition_key,
        },
        entity,
        entity_version: integer(row, first + 7).unsigned_abs(),
        timestamp: bytes(row, first + 8),
        published_by: bytes(row, first + 9),
        data: bytes(row, first + 10),
        metadata: bytes(row, first + 11),
    }
}

/// Everything but data and metadata has at most a few hundred bytes, by the table's own checks.
pub(super) fn byte_len(row: &OutboxRow) -> usize {
    row.data.len() + row.metadata.len() + ROW_BYTES
}

/// See [`byte_len`].
pub(super) const ROW_BYTES: usize = 512;
