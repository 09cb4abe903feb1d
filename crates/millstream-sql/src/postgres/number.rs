//! Giving unsent events their numbers.

use std::collections::BTreeMap;

use bytes::Bytes;

use millstream_core::clock::Timestamp;
use millstream_core::entry::{EntryId, Shard};
use millstream_core::error::{Error, ErrorKind};
use millstream_core::lease::{Checkpoint, Lease};
use millstream_core::outbox::OutboxRow;

use crate::postgres::bound;
use crate::postgres::database::{Database, while_doing};
use crate::postgres::leases::compare_and_set;
use crate::postgres::outbox::{BYTES_MAX, COLUMNS, LENGTH, event_id, read_row};
use crate::tops::owned;

/// Numbers rows in the order of their ids, which the locks of their keys make the order of the keys'
/// versions: a statement that sees one sees all earlier ones of its key.
pub(super) async fn number_rows(
    db: &Database,
    tops: &[Lease],
    limit: usize,
    now: Timestamp,
) -> Result<Vec<OutboxRow>, Error> {
    const DOING: &str = "number events";
    let failed = while_doing(DOING);
    let shards: Vec<&Shard> = tops.iter().map(owned).collect::<Result<_, _>>()?;
    let Some(stream) = shards.first().map(|shard| &shard.stream) else {
        return Ok(Vec::new());
    };
    let count = u16::try_from(tops.len()).unwrap_or(u16::MAX);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);

    let mut connection = db.connection(DOING).await?;
    let look = db.bounds.look(&connection, stream).await?;
    let tx = connection.transaction().await.map_err(failed)?;
    // In two statements: in one, the server may look for each row of a long backlog among these anew. The
    // window comes without the columns: it must not read what is above the bound.
    let next = tx
        .prepare_cached(&db.sql(&format!(
            "SELECT id, bytes::bigint FROM (
               SELECT id, bytes, sum(bytes) OVER (ORDER BY id) - bytes AS before FROM (
                 SELECT id, {LENGTH} AS bytes FROM ~outbox
                 WHERE stream = $1 AND seq IS NULL AND id > $2 ORDER BY id LIMIT $3
               ) next
             ) bounded WHERE before < $4"
        )))
        .await
        .map_err(failed)?;
    let next = tx
        .query(&next, &[&stream.as_str(), &look.above, &limit, &BYTES_MAX])
        .await
        .map_err(failed)?;
    // Of what there was, whatever becomes of it before it is locked.
    let bytes: i64 = next.iter().map(|row| row.get::<_, i64>(1)).sum();
    let next: Vec<i64> = next.iter().map(|row| row.get(0)).collect();
    let whole = bytes < BYTES_MAX && i64::try_from(next.len()).unwrap_or(i64::MAX) < limit;
    let candidate = match !next.is_empty() && db.bounds.wants_candidate(stream) {
        true => Some(bound::candidate(&tx, db).await?),
        false => None,
    };
    // Locked, since the application may change or remove what was not sent yet; rows that only refer to
    // it hold nothing up.
    let query = tx
        .prepare_cached(&db.sql(&format!(
            "SELECT {COLUMNS}, id, seq IS NULL AND stream = $2 FROM ~outbox
             WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE"
        )))
        .await
        .map_err(failed)?;
    let mut found = match next.is_empty() {
        true => Vec::new(),
        false => tx
            .query(&query, &[&next, &stream.as_str()])
            .await
            .map_err(failed)?,
    };
    found.retain(|row| row.get(13));

    let mut rows = Vec::with_capacity(found.len());
    let mut ids: Vec<i64> = Vec::with_capacity(found.len());
    let mut raised: BTreeMap<usize, Checkpoint> = BTreeMap::new();
    for row in &found {
        ids.push(row.get(12));
        let mut row = read_row(row, 0);
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
        rows.push(row);
    }

    // First: rows that another relay numbered meanwhile would only meet the unique index.
    for (index, to) in &raised {
        let top = &tops[*index];
        compare_and_set(&tx, &db.options.prefix, top, &top.checkpoint, to).await?;
    }
    if !ids.is_empty() {
        let mark = tx
            .prepare_cached(&db.sql(
                "UPDATE ~outbox AS o
                 SET shard = n.shard, generation = n.generation, seq = n.seq, numbered_at = $1
                 FROM unnest($2::bigint[], $3::integer[], $4::bigint[], $5::bigint[])
                   AS n (id, shard, generation, seq)
                 WHERE o.id = n.id",
            ))
            .await
            .map_err(failed)?;
        let each = || rows.iter();
        let shards: Vec<i32> = each().map(|row| i32::from(row.shard)).collect();
        let generations: Vec<i64> = each().map(|row| row.at.high.cast_signed()).collect();
        let seqs: Vec<i64> = each().map(|row| row.at.low.cast_signed()).collect();
        let marked = tx
            .execute(
                &mark,
                &[&now.as_millis(), &ids, &shards, &generations, &seqs],
            )
            .await
            .map_err(failed)?;
        if marked != ids.len() as u64 {
            let text = "rows of the outbox went away while they were locked";
            return Err(Error::new(ErrorKind::Misconfigured, text));
        }
    }
    tx.commit().await.map_err(failed)?;
    if let Some(candidate) = candidate {
        db.bounds.propose(stream, candidate);
    }
    if whole {
        db.bounds.raise(stream, &look);
    }
    Ok(rows)
}
