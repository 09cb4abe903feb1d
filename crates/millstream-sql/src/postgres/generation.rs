//! Beginning a stream anew, after what was sent and what is here have come apart.

use millstream_core::entry::EntryId;
use millstream_core::error::{Error, ErrorKind};
use millstream_core::lease::{Checkpoint, Lease};

use crate::postgres::connect;
use crate::postgres::database::{Database, while_doing};
use crate::postgres::leases::{compare_and_set, number};
use crate::tops::{owned, stream_of};

/// Begins the generation after `above` and the highest that any shard has.
///
/// Where nothing was numbered yet, that is the second one: a restored database may know nothing of
/// the first.
pub(super) async fn begin(
    db: &Database,
    tops: &[Lease],
    settled: &[EntryId],
    above: u64,
) -> Result<Vec<Checkpoint>, Error> {
    const DOING: &str = "begin a new generation";
    let failed = while_doing(DOING);
    let stream = stream_of(tops)?;
    if settled.len() != tops.len() {
        return Err(Error::new(
            ErrorKind::Misconfigured,
            format!("{stream}: not every shard says what of it is settled"),
        ));
    }
    let highest = tops.iter().map(|top| top.checkpoint.at.high).max();
    let begin = Checkpoint {
        at: EntryId::new(highest.unwrap_or(0).max(above).max(1) + 1, 0),
        event_id: None,
    };

    // Once in a database's life, and over all that nobody has settled yet.
    let mut connection = connect::patient(&db.options, DOING).await?;
    let tx = connection.transaction().await.map_err(failed)?;
    tx.batch_execute("SET LOCAL statement_timeout = 0")
        .await
        .map_err(failed)?;
    // Before its rows: a trigger keeps the numbers of a shard's generation.
    for top in tops {
        compare_and_set(&tx, &db.options.prefix, top, &top.checkpoint, &begin).await?;
    }
    let lower = tx
        .prepare_cached(&db.sql(
            "UPDATE ~outbox SET shard = NULL, generation = NULL, seq = NULL, numbered_at = NULL
             WHERE stream = $1 AND shard = $2 AND seq IS NOT NULL
               AND (generation, seq) > ($3, $4)",
        ))
        .await
        .map_err(failed)?;
    for (top, settled) in tops.iter().zip(settled) {
        let shard = owned(top)?;
        tx.execute(
            &lower,
            &[
                &shard.stream.as_str(),
                &i32::from(shard.number),
                &settled.high.cast_signed(),
                &settled.low.cast_signed(),
            ],
        )
        .await
        .map_err(failed)?;
    }
    tx.execute(
        &db.sql(
            "UPDATE ~millstream_subscribers
             SET settled_generation = $2, settled_seq = 0, settled_event_id = NULL
             WHERE stream = $1",
        ),
        &[&stream.as_str(), &begin.at.high.cast_signed()],
    )
    .await
    .map_err(failed)?;
    tx.commit().await.map_err(failed)?;
    Ok(vec![begin; tops.len()])
}

/// The last number below the current generation of each shard: of a row that is still there, or of the
/// last one that was pruned.
pub(super) async fn left_behind(db: &Database, tops: &[Lease]) -> Result<Vec<EntryId>, Error> {
    const DOING: &str = "look for what older generations left";
    let failed = while_doing(DOING);
    let connection = db.connection(DOING).await?;
    let query = connection
        .prepare_cached(&db.sql(
            "SELECT generation, seq FROM (
               (SELECT generation, seq FROM ~outbox
                WHERE stream = $1 AND shard = $2 AND seq IS NOT NULL AND generation < $3
                ORDER BY generation DESC, seq DESC LIMIT 1)
               UNION ALL
               SELECT generation, seq FROM ~millstream_pruned
               WHERE stream = $1 AND shard = $2 AND generation < $3
             ) found
             ORDER BY generation DESC, seq DESC LIMIT 1",
        ))
        .await
        .map_err(failed)?;
    let mut left = Vec::with_capacity(tops.len());
    for top in tops {
        let shard = owned(top)?;
        let row = connection
            .query_opt(
                &query,
                &[
                    &shard.stream.as_str(),
                    &i32::from(shard.number),
                    &top.checkpoint.at.high.cast_signed(),
                ],
            )
            .await
            .map_err(failed)?;
        left.push(row.map_or(EntryId::ZERO, |row| {
            EntryId::new(number(&row, 0), number(&row, 1))
        }));
    }
    Ok(left)
}
