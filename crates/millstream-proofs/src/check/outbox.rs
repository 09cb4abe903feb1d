use std::collections::HashMap;

use anyhow::ensure;
use millstream::rusqlite::Connection;

use crate::history::event_id;
use crate::model::Model;
use crate::site::unsigned;

/// The outbox holds every event once, in the order in which they happened; each has its number, and
/// numbers rise with the versions of a key, which are dense.
pub(crate) fn outbox(crm: &Connection, model: &Model) -> anyhow::Result<()> {
    let mut statement = crm.prepare(
        "SELECT event_id, tenant_id, entity_id, entity_version, shard, generation, seq
         FROM outbox ORDER BY id",
    )?;
    let mut rows = statement.query([])?;
    let mut keys: HashMap<(String, String), (u64, u16, u64)> = HashMap::new();
    let mut count = 0;
    while let Some(row) = rows.next()? {
        count += 1;
        let id: String = row.get(0)?;
        ensure!(
            id == event_id(count),
            "the outbox has {id} as its event {count}"
        );
        let (version, shard) = (unsigned(row, 3)?, row.get(4)?);
        let (generation, seq) = (unsigned(row, 5)?, unsigned(row, 6)?);
        ensure!(generation == 1, "{id} has generation {generation}");

        let key = (row.get(1)?, row.get(2)?);
        let last = keys.entry(key).or_insert((0, shard, 0));
        ensure!(
            version == last.0 + 1,
            "{id} has version {version} after {}",
            last.0
        );
        ensure!(
            shard == last.1,
            "{id} is in shard {shard}, its key's others in {}",
            last.1
        );
        ensure!(seq > last.2, "{id} has seq {seq} after {}", last.2);
        *last = (version, shard, seq);
    }
    ensure!(
        count == model.count,
        "the outbox has {count} of {} events",
        model.count
    );
    Ok(())
}
