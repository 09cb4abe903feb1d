//! Taking sent events out of the outbox, from the beginning of each shard.

use bytes::Bytes;
use tokio_postgres::GenericClient;

use millstream_core::clock::Timestamp;
use millstream_core::entry::{EntryId, Shard};
use millstream_core::error::Error;
use millstream_core::lease::{Lease, Role};
use millstream_core::name::StreamName;

use crate::postgres::database::{Database, while_doing};
use crate::postgres::leases::{compare, number};
use crate::postgres::outbox::bytes;
use crate::tops::owned;

/// Removes rows from the beginning of a shard, and says how far it is pruned then.
pub(super) async fn prune(
    db: &Database,
    top: &Lease,
    through: EntryId,
    numbered_before: Timestamp,
    limit: usize,
) -> Result<EntryId, Error> {
    const DOING: &str = "prune the outbox";
    let failed = while_doing(DOING);
    let shard = owned(top)?;
    let (stream, number_of) = (shard.stream.as_str(), i32::from(shard.number));
    let mut connection = db.connection(DOING).await?;
    let tx = connection.transaction().await.map_err(failed)?;
    compare(&tx, &db.options.prefix, std::slice::from_ref(top)).await?;
    let rows = tx
        .query(
            &db.sql(
                "SELECT generation, seq, numbered_at FROM ~outbox
                 WHERE stream = $1 AND shard = $2 AND seq IS NOT NULL
                 ORDER BY generation, seq LIMIT $3",
            ),
            &[
                &stream,
                &number_of,
                &i64::try_from(limit).unwrap_or(i64::MAX),
            ],
        )
        .await
        .map_err(failed)?;
    let last = rows
        .iter()
        .map(|row| {
            let at = EntryId::new(number(row, 0), number(row, 1));
            (at, Timestamp::from_millis(row.get(2)))
        })
        .take_while(|(at, numbered_at)| *at <= through && *numbered_at < numbered_before)
        .last();
    let Some((last, _)) = last else {
        let row = tx
            .query_opt(
                &db.sql(
                    "SELECT generation, seq FROM ~millstream_pruned
                     WHERE stream = $1 AND shard = $2",
                ),
                &[&stream, &number_of],
            )
            .await
            .map_err(failed)?;
        return Ok(row.map_or(EntryId::ZERO, |row| {
            EntryId::new(number(&row, 0), number(&row, 1))
        }));
    };
    let (generation, seq) = (last.high.cast_signed(), last.low.cast_signed());
    // Before its rows: a trigger keeps what is above the mark.
    tx.execute(
        &db.sql(
            "INSERT INTO ~millstream_pruned (stream, shard, generation, seq, event_id)
             SELECT stream, shard, generation, seq, event_id FROM ~outbox
             WHERE stream = $1 AND shard = $2 AND generation = $3 AND seq = $4
             ON CONFLICT (stream, shard) DO UPDATE
               SET generation = excluded.generation, seq = excluded.seq,
                   event_id = excluded.event_id",
        ),
        &[&stream, &number_of, &generation, &seq],
    )
    .await
    .map_err(failed)?;
    tx.execute(
        &db.sql(
            "DELETE FROM ~outbox
             WHERE stream = $1 AND shard = $2 AND seq IS NOT NULL
               AND (generation, seq) <= ($3, $4)",
        ),
        &[&stream, &number_of, &generation, &seq],
    )
    .await
    .map_err(failed)?;
    tx.commit().await.map_err(failed)?;
    Ok(last)
}

/// The id of the event that was the last to be pruned, if it stood there.
pub(super) async fn event_at(
    client: &impl GenericClient,
    db: &Database,
    shard: &Shard,
    at: EntryId,
) -> Result<Option<Bytes>, tokio_postgres::Error> {
    let row = client
        .query_opt(
            &db.sql(
                "SELECT event_id FROM ~millstream_pruned
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
    Ok(row.map(|row| bytes(&row, 0)))
}

/// Reads how far each shard of a stream is pruned.
pub(super) async fn marks(db: &Database, stream: &StreamName) -> Result<Vec<EntryId>, Error> {
    const DOING: &str = "read how far the outbox is pruned";
    let connection = db.connection(DOING).await?;
    let rows = connection
        .query(
            &db.sql(
                "SELECT coalesce(p.generation, 0), coalesce(p.seq, 0)
                 FROM ~millstream_shards s
                 LEFT JOIN ~millstream_pruned p ON p.stream = s.stream AND p.shard = s.shard
                 WHERE s.role = $1 AND s.stream = $2 AND s.source = $3 ORDER BY s.shard",
            ),
            &[
                &Role::Relay.as_str(),
                &stream.as_str(),
                &db.options.application.as_str(),
            ],
        )
        .await
        .map_err(while_doing(DOING))?;
    Ok(rows
        .iter()
        .map(|row| EntryId::new(number(row, 0), number(row, 1)))
        .collect())
}
