use std::time::Duration;

use millstream_core::entry::EntryId;
use millstream_core::error::Error;
use millstream_core::name::{AppName, InstanceId, StreamName};
use millstream_core::queue::{Group, PendingEntry};

use super::call::{Fault, call};
use super::connect::Transport;
use super::id::Columns;
use super::key::Key;
use super::page::row_count;

pub(super) async fn pending(
    transport: &Transport,
    stream: &StreamName,
    group: &AppName,
    after: EntryId,
    count: usize,
) -> Result<Vec<PendingEntry>, Error> {
    let key = Key::shared(stream);
    let group = group.clone();
    let after = Columns::at_most(after);
    let now = transport.clock.now().as_millis();
    call(
        &transport.reading,
        "read pending entries of",
        key.clone(),
        move |db| {
            let mut select = db.prepare_cached(
                "SELECT high, low, consumer, delivered_at, delivery_count FROM pending
             WHERE stream_id = (SELECT id FROM streams WHERE key = ?1) AND group_name = ?2
               AND (high, low) > (?3, ?4)
             ORDER BY high, low LIMIT ?5",
            )?;
            let mut rows = select.query((
                key.as_str(),
                group.as_str(),
                after.high,
                after.low,
                row_count(count),
            ))?;
            let mut pending = Vec::new();
            while let Some(row) = rows.next()? {
                let idle = now.saturating_sub(row.get("delivered_at")?);
                pending.push(PendingEntry {
                    id: Columns::of(row)?.id(),
                    consumer: InstanceId::new(row.get::<_, String>("consumer")?)?,
                    // Another process may have a newer time than we asked for.
                    idle: Duration::from_millis(u64::try_from(idle).unwrap_or(0)),
                    delivery_count: row.get::<_, i64>("delivery_count")?.cast_unsigned(),
                });
            }
            Ok::<_, Fault>(pending)
        },
    )
    .await
}

pub(super) async fn groups(
    transport: &Transport,
    stream: &StreamName,
) -> Result<Vec<Group>, Error> {
    let key = Key::shared(stream);
    call(
        &transport.reading,
        "read the groups of",
        key.clone(),
        move |db| {
            let mut select = db.prepare_cached(
                "SELECT g.name, g.high AS high, g.low AS low,
                    (SELECT count(*) FROM pending p
                     WHERE p.stream_id = g.stream_id AND p.group_name = g.name) AS pending,
                    (SELECT count(*) FROM entries e
                     WHERE e.stream_id = g.stream_id AND (e.high, e.low) > (g.high, g.low)) AS lag
             FROM groups g WHERE g.stream_id = (SELECT id FROM streams WHERE key = ?1)
             ORDER BY g.name",
            )?;
            let mut rows = select.query([key.as_str()])?;
            let mut groups = Vec::new();
            while let Some(row) = rows.next()? {
                groups.push(Group {
                    name: AppName::new(row.get::<_, String>("name")?)?,
                    last_delivered: Columns::of(row)?.id(),
                    pending: row.get::<_, i64>("pending")?.cast_unsigned(),
                    lag: row.get::<_, i64>("lag")?.cast_unsigned(),
                });
            }
            Ok::<_, Fault>(groups)
        },
    )
    .await
}
