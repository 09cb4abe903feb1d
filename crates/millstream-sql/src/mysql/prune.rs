//! Taking sent events out of the outbox, from the beginning of each shard.

use bytes::Bytes;
use mysql_async::Value;

use millstream_core::clock::Timestamp;
use millstream_core::entry::{EntryId, Shard};
use millstream_core::error::Error;
use millstream_core::lease::{Lease, Role};
use millstream_core::name::StreamName;

use crate::identifier::Prefix;
use crate::mysql::database::Database;
use crate::mysql::leases::compare;
use crate::mysql::row::{bytes, entry_id, integer};
use crate::mysql::session::{Session, values};
use crate::tops::owned;

const DOING: &str = "prune the outbox";

/// Removes rows from the beginning of a shard, and says how far it is pruned then.
pub(super) async fn prune(
    db: &Database,
    top: &Lease,
    through: EntryId,
    numbered_before: Timestamp,
    limit: usize,
) -> Result<EntryId, Error> {
    let prefix = &db.options.prefix;
    let shard = owned(top)?;
    let mut session = db.begin(DOING).await?;
    compare(&mut session, prefix, std::slice::from_ref(top)).await?;
    let last = last_to_go(&mut session, prefix, shard, through, numbered_before, limit).await?;
    let Some(last) = last else {
        let mark = mark(&mut session, prefix, shard).await?;
        session.commit(DOING).await?;
        return Ok(mark);
    };
    // Before its rows: a trigger keeps what is above the mark.
    let sql = prefix.sql(
        "INSERT INTO ~millstream_pruned (stream, shard, generation, seq, event_id)
         SELECT stream, shard, generation, seq, event_id FROM ~outbox
         WHERE stream = ? AND shard = ? AND generation = ? AND seq = ?
         ON DUPLICATE KEY UPDATE generation = VALUES(generation), seq = VALUES(seq),
           event_id = VALUES(event_id)",
    );
    session.run(DOING, &sql, place(shard, last)).await?;
    let sql = prefix.sql(
        "DELETE FROM ~outbox
         WHERE stream = ? AND shard = ? AND seq IS NOT NULL AND generation <= ?
           AND (generation < ? OR seq <= ?)",
    );
    session.run(DOING, &sql, range(shard, last)).await?;
    session.commit(DOING).await?;
    Ok(last)
}

/// The last of the rows that may go; none if the first may not.
async fn last_to_go(
    session: &mut Session,
    prefix: &Prefix,
    shard: &Shard,
    through: EntryId,
    numbered_before: Timestamp,
    limit: usize,
) -> Result<Option<EntryId>, Error> {
    let sql = prefix.sql(
        "SELECT generation, seq, numbered_at FROM ~outbox
         WHERE stream = ? AND shard = ? AND seq IS NOT NULL
         ORDER BY generation, seq LIMIT ?",
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let parameters = values![shard.stream.as_str(), shard.number, limit];
    let rows = session.all(DOING, &sql, parameters).await?;
    let goes = |row: &&mysql_async::Row| {
        let numbered_at = Timestamp::from_millis(integer(row, 2));
        entry_id(row, 0) <= through && numbered_at < numbered_before
    };
    Ok(rows
        .iter()
        .take_while(goes)
        .last()
        .map(|row| entry_id(row, 0)))
}

async fn mark(session: &mut Session, prefix: &Prefix, shard: &Shard) -> Result<EntryId, Error> {
    let sql =
        prefix.sql("SELECT generation, seq FROM ~millstream_pruned WHERE stream = ? AND shard = ?");
    let parameters = values![shard.stream.as_str(), shard.number];
    let row = session.first(DOING, &sql, parameters).await?;
    Ok(row.map_or(EntryId::ZERO, |row| entry_id(&row, 0)))
}

/// The id of the event that was the last to be pruned, if it stood there.
pub(super) async fn event_at(
    session: &mut Session,
    prefix: &Prefix,
    shard: &Shard,
    at: EntryId,
) -> Result<Option<Bytes>, Error> {
    let sql = prefix.sql(
        "SELECT event_id FROM ~millstream_pruned
         WHERE stream = ? AND shard = ? AND generation = ? AND seq = ?",
    );
    let row = session
        .first("look up a seq", &sql, place(shard, at))
        .await?;
    Ok(row.map(|row| bytes(&row, 0)))
}

/// Reads how far each shard of a stream is pruned.
pub(super) async fn marks(db: &Database, stream: &StreamName) -> Result<Vec<EntryId>, Error> {
    let sql = db.sql(
        "SELECT coalesce(p.generation, 0), coalesce(p.seq, 0)
         FROM ~millstream_shards s
         LEFT JOIN ~millstream_pruned p ON p.stream = s.stream AND p.shard = s.shard
         WHERE s.role = ? AND s.stream = ? AND s.source = ? ORDER BY s.shard",
    );
    let parameters = values![
        Role::Relay.as_str(),
        stream.as_str(),
        db.options.application.as_str(),
    ];
    let mut session = db.session().await?;
    let doing = "read how far the outbox is pruned";
    let rows = session.all(doing, &sql, parameters).await?;
    session.give_back();
    Ok(rows.iter().map(|row| entry_id(row, 0)).collect())
}

/// Stream, shard, generation and seq.
pub(super) fn place(shard: &Shard, at: EntryId) -> Vec<Value> {
    values![
        shard.stream.as_str(),
        shard.number,
        at.high.cast_signed(),
        at.low.cast_signed(),
    ]
}

/// The same for a comparison with both, which neither server looks up in an index unless the
/// generation stands in it once by itself.
pub(super) fn range(shard: &Shard, at: EntryId) -> Vec<Value> {
    values![
        shard.stream.as_str(),
        shard.number,
        at.high.cast_signed(),
        at.high.cast_signed(),
        at.low.cast_signed(),
    ]
}
