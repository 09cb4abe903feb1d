//! Giving unsent rows their numbers, each key in the order of its versions.
//!
//! Rows go by their ids, but a statement that inserts several rows draws their ids ahead, before it
//! waits for a key: the later version of a key may have the lower id. So a row takes the earlier
//! versions of its key along, wherever they stand. They are visible whenever it is: whoever drew a
//! version held the key until its commit. Nothing waits, so nothing can wait for ever.

use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;
use mysql_async::Row;

use millstream_core::clock::Timestamp;
use millstream_core::entry::{EntryId, Shard};
use millstream_core::error::{Error, ErrorKind};
use millstream_core::lease::{Checkpoint, Lease};
use millstream_core::outbox::OutboxRow;

use crate::mysql::database::Database;
use crate::mysql::leases::compare_and_set;
use crate::mysql::outbox::{BYTES_MAX, COLUMNS, ROW_BYTES, event_id, read_row};
use crate::mysql::row::{bytes, integer};
use crate::mysql::session::{Session, in_list, values};
use crate::tops::owned;

const DOING: &str = "number events";

/// Rows that are looked at for one transaction.
const ROWS_MAX: usize = 10_000;

/// Ids in one statement.
const IDS_MAX: usize = 512;

/// An unsent row, as far as its place among the others goes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Waiting {
    id: i64,
    key: (Bytes, Bytes),
    version: i64,
    bytes: usize,
}

pub(super) async fn number(
    db: &Database,
    tops: &[Lease],
    limit: usize,
    now: Timestamp,
) -> Result<Vec<OutboxRow>, Error> {
    let shards: Vec<&Shard> = tops.iter().map(owned).collect::<Result<_, _>>()?;
    let Some(stream) = shards.first().map(|shard| shard.stream.as_str()) else {
        return Ok(Vec::new());
    };
    let count = u16::try_from(tops.len()).unwrap_or(u16::MAX);

    let mut session = db.begin(DOING).await?;
    let ids = next(&mut session, db, stream, limit).await?;
    let read = lock(&mut session, db, stream, &ids).await?;
    let mut rows = Vec::with_capacity(read.len());
    let mut raised: BTreeMap<usize, Checkpoint> = BTreeMap::new();
    for (_, mut row) in read.iter().cloned() {
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
        compare_and_set(&mut session, &db.options.prefix, top, &top.checkpoint, to).await?;
    }
    let sql = db
        .sql("UPDATE ~outbox SET shard = ?, generation = ?, seq = ?, numbered_at = ? WHERE id = ?");
    let marks = read.iter().zip(&rows).map(|((id, _), row)| {
        values![
            row.shard,
            row.at.high.cast_signed(),
            row.at.low.cast_signed(),
            now.as_millis(),
            *id,
        ]
    });
    let marked = session.batch(DOING, &sql, marks.collect()).await?;
    if marked != rows.len() as u64 {
        return Err(Error::new(
            ErrorKind::Unavailable,
            "number events: rows went away while they were locked",
        ));
    }
    session.commit(DOING).await?;
    Ok(rows)
}

/// The ids of the rows that come next, in their order.
async fn next(
    session: &mut Session,
    db: &Database,
    stream: &str,
    limit: usize,
) -> Result<Vec<i64>, Error> {
    let columns = "o.id, o.tenant_id, o.partition_key, o.entity_version,
                   octet_length(o.event_data) + octet_length(o.metadata)";
    let sql = db.sql(&format!(
        "SELECT {columns} FROM ~outbox o WHERE o.stream = ? AND o.seq IS NULL
         ORDER BY o.id LIMIT ?"
    ));
    let limit = limit.min(ROWS_MAX);
    let rows = session.all(DOING, &sql, values![stream, limit]).await?;
    let mut waiting: Vec<Waiting> = rows.iter().map(read).collect();
    let Some(last) = waiting.last().map(|row| row.id) else {
        return Ok(Vec::new());
    };

    let first = waiting[0].id;
    let sql = db.sql(&format!(
        "SELECT {columns}
         FROM (SELECT tenant_id, partition_key, max(entity_version) AS last FROM ~outbox
               WHERE stream = ? AND seq IS NULL AND id BETWEEN ? AND ?
               GROUP BY tenant_id, partition_key) l
         JOIN ~outbox o ON o.tenant_id = l.tenant_id AND o.partition_key = l.partition_key
           AND o.seq IS NULL AND o.entity_version < l.last
         WHERE o.stream = ?"
    ));
    let parameters = values![stream, first, last, stream];
    let earlier = session.all(DOING, &sql, parameters).await?;
    take_along(&mut waiting, earlier.iter().map(read).collect());
    Ok(in_order(waiting, limit))
}

/// Adds the earlier versions of what is there, as a second look sees them: they may have higher ids, and the
/// first one may have missed some. The server takes its snapshot one transaction after the other, and a later
/// version may be committed before it comes to that one. What the first look saw was committed when the
/// second began, and so was everything before it.
///
/// Of a key whose rows have come since, some may be seen and others not, so those wait for the next time.
fn take_along(waiting: &mut Vec<Waiting>, earlier: Vec<Waiting>) {
    let mut last: HashMap<&(Bytes, Bytes), i64> = HashMap::new();
    for row in waiting.iter() {
        let version = last.entry(&row.key).or_insert(row.version);
        *version = row.version.max(*version);
    }
    let seen: HashSet<i64> = waiting.iter().map(|row| row.id).collect();
    let belongs = |row: &Waiting| {
        let is_earlier = last.get(&row.key).is_some_and(|last| row.version < *last);
        is_earlier && !seen.contains(&row.id)
    };
    let earlier: Vec<Waiting> = earlier.into_iter().filter(belongs).collect();
    waiting.extend(earlier);
}

fn read(row: &Row) -> Waiting {
    Waiting {
        id: integer(row, 0),
        key: (bytes(row, 1), bytes(row, 2)),
        version: integer(row, 3),
        bytes: usize::try_from(integer(row, 4)).unwrap_or(0) + ROW_BYTES,
    }
}

/// By id, but each key's rows in the order of their versions, at the places that its rows have.
fn in_order(mut waiting: Vec<Waiting>, limit: usize) -> Vec<i64> {
    waiting.sort_by_key(|row| row.id);
    let mut by_key: HashMap<&(Bytes, Bytes), Vec<&Waiting>> = HashMap::new();
    for row in &waiting {
        by_key.entry(&row.key).or_default().push(row);
    }
    for rows in by_key.values_mut() {
        // Backwards, so that the next one is the last.
        rows.sort_by_key(|row| std::cmp::Reverse(row.version));
    }
    let mut bytes = 0;
    let mut ids = Vec::with_capacity(waiting.len());
    for place in &waiting {
        let rows = by_key.get_mut(&place.key).expect("each row is there");
        let row = rows.pop().expect("there are as many as places");
        if ids.len() >= limit || (bytes > 0 && bytes + row.bytes > BYTES_MAX) {
            break;
        }
        bytes += row.bytes;
        ids.push(row.id);
    }
    ids
}

/// Locks rows and reads them as they are then. An application may have changed or removed one since it
/// was seen: until it is numbered, it is the application's own.
///
/// By their ids and no other way: whatever else the server might go through would wait for rows that
/// are not committed.
async fn lock(
    session: &mut Session,
    db: &Database,
    stream: &str,
    ids: &[i64],
) -> Result<Vec<(i64, OutboxRow)>, Error> {
    let mut found = HashMap::with_capacity(ids.len());
    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    for chunk in sorted.chunks(IDS_MAX) {
        let (marks, mut parameters) = in_list(chunk);
        parameters.push(stream.into());
        let sql = db.sql(&format!(
            "SELECT id, {COLUMNS} FROM ~outbox FORCE INDEX (PRIMARY)
             WHERE id IN ({marks}) AND seq IS NULL AND stream = ? FOR UPDATE"
        ));
        for row in session.all(DOING, &sql, parameters).await? {
            found.insert(integer(&row, 0), read_row(&row, 1));
        }
    }
    Ok(ids
        .iter()
        .filter_map(|id| Some((*id, found.remove(id)?)))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[(i64, &'static str, i64)]) -> Vec<Waiting> {
        rows.iter()
            .map(|&(id, key, version)| Waiting {
                id,
                key: (Bytes::new(), Bytes::from_static(key.as_bytes())),
                version,
                bytes: 1,
            })
            .collect()
    }

    #[test]
    fn a_key_goes_by_its_versions() {
        let all = rows(&[
            (1, "a", 1),
            (2, "b", 2),
            (3, "a", 2),
            (4, "b", 3),
            (9, "b", 1),
        ]);
        assert_eq!(in_order(all.clone(), 9), [1, 9, 3, 2, 4]);
        // A part of it is a beginning of each key.
        assert_eq!(in_order(all, 3), [1, 9, 3]);
    }

    /// Versions 4 to 6 of `b` were committed between the two looks: 5 alone is seen, behind 4.
    #[test]
    fn what_has_come_between_two_looks_waits() {
        let mut waiting = rows(&[(1, "a", 1), (3, "a", 3)]);
        take_along(&mut waiting, rows(&[(9, "a", 2), (8, "b", 5), (7, "a", 4)]));
        assert_eq!(waiting, rows(&[(1, "a", 1), (3, "a", 3), (9, "a", 2)]));
    }

    #[test]
    fn what_the_first_look_has_missed_is_not_passed_over() {
        let mut waiting = rows(&[(1, "a", 1), (5, "a", 3)]);
        take_along(&mut waiting, rows(&[(1, "a", 1), (4, "a", 2)]));
        assert_eq!(in_order(waiting, 9), [1, 4, 5]);
    }

    #[test]
    fn rows_that_were_drawn_ahead_wait_for_nobody() {
        let mut all: Vec<_> = (1..=2_000).map(|id| (id, "a", 2_001 - id)).collect();
        let ids = in_order(rows(&all), 1_000);
        all.reverse();
        let expected: Vec<i64> = all[..1_000].iter().map(|row| row.0).collect();
        assert_eq!(ids, expected);
    }
}
