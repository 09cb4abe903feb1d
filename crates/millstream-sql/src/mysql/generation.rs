//! Beginning a stream anew, after what was sent and what is here have come apart.

use millstream_core::entry::EntryId;
use millstream_core::error::{Error, ErrorKind};
use millstream_core::lease::{Checkpoint, Lease};

use crate::mysql::database::Database;
use crate::mysql::leases::compare_and_set;
use crate::mysql::prune::range;
use crate::mysql::row::entry_id;
use crate::mysql::session::values;
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
    let doing = "begin a new generation";
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

    let mut session = db.begin(doing).await?;
    session.be_patient();
    // Before its rows: a trigger keeps the numbers of a shard's generation.
    for top in tops {
        let prefix = &db.options.prefix;
        compare_and_set(&mut session, prefix, top, &top.checkpoint, &begin).await?;
    }
    let sql = db.sql(
        "UPDATE ~outbox SET shard = NULL, generation = NULL, seq = NULL, numbered_at = NULL
         WHERE stream = ? AND shard = ? AND seq IS NOT NULL AND generation >= ?
           AND (generation > ? OR seq > ?)",
    );
    for (top, settled) in tops.iter().zip(settled) {
        let parameters = range(owned(top)?, *settled);
        session.run(doing, &sql, parameters).await?;
    }
    let sql = db.sql(
        "UPDATE ~millstream_subscribers
         SET settled_generation = ?, settled_seq = 0, settled_event_id = NULL
         WHERE stream = ?",
    );
    let parameters = values![begin.at.high.cast_signed(), stream.as_str()];
    session.run(doing, &sql, parameters).await?;
    session.commit(doing).await?;
    Ok(vec![begin; tops.len()])
}

/// The last number below the current generation of each shard: of a row that is still there, or of the
/// last one that was pruned.
pub(super) async fn left_behind(db: &Database, tops: &[Lease]) -> Result<Vec<EntryId>, Error> {
    let doing = "look for what older generations left";
    let kept = db.sql(
        "SELECT generation, seq FROM ~outbox
         WHERE stream = ? AND shard = ? AND seq IS NOT NULL AND generation < ?
         ORDER BY generation DESC, seq DESC LIMIT 1",
    );
    let pruned = db.sql(
        "SELECT generation, seq FROM ~millstream_pruned
         WHERE stream = ? AND shard = ? AND generation < ?",
    );
    let mut session = db.session().await?;
    let mut left = Vec::with_capacity(tops.len());
    for top in tops {
        let shard = owned(top)?;
        let mut last = EntryId::ZERO;
        for sql in [&kept, &pruned] {
            let parameters = values![
                shard.stream.as_str(),
                shard.number,
                top.checkpoint.at.high.cast_signed(),
            ];
            let row = session.first(doing, sql, parameters).await?;
            last = last.max(row.map_or(EntryId::ZERO, |row| entry_id(&row, 0)));
        }
        left.push(last);
    }
    session.give_back();
    Ok(left)
}
