use std::time::Duration;

use rusqlite::Connection;

use millstream_core::error::Error;
use millstream_core::name::{AppName, InstanceId, StreamName};
use millstream_core::queue::{Consumer, Member};

use super::call::{Fault, call};
use super::connect::Transport;
use super::key::Key;

/// A member that asks again within this many milliseconds costs no write. Idle times are that rough.
pub(super) const SEEN_AGAIN: i64 = 1_000;

/// Notes that the member of a group that exists asked for something. Belongs into a write
/// transaction.
pub(super) fn see(
    db: &Connection,
    stream_id: i64,
    member: &Member,
    now: i64,
) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO consumers
         SELECT stream_id, name, ?3, ?4 FROM groups WHERE stream_id = ?1 AND name = ?2
         ON CONFLICT DO UPDATE SET seen_at = excluded.seen_at",
    )?
    .execute((
        stream_id,
        member.group.as_str(),
        member.consumer.as_str(),
        now,
    ))?;
    Ok(())
}

pub(super) async fn consumers(
    transport: &Transport,
    stream: &StreamName,
    group: &AppName,
) -> Result<Vec<Consumer>, Error> {
    let key = Key::shared(stream);
    let group = group.clone();
    let now = transport.clock.now().as_millis();
    call(
        &transport.reading,
        "read the consumers of",
        key.clone(),
        move |db| {
            let Some(stream) = key.find(db)? else {
                return Ok(Vec::new());
            };
            let mut select = db.prepare_cached(
                "SELECT c.name, c.seen_at, coalesce(p.held, 0) AS held
                 FROM consumers c LEFT JOIN
                     (SELECT consumer, count(*) AS held FROM pending
                      WHERE stream_id = ?1 AND group_name = ?2 GROUP BY consumer) p
                   ON p.consumer = c.name
                 WHERE c.stream_id = ?1 AND c.group_name = ?2 ORDER BY c.name",
            )?;
            let mut rows = select.query((stream.id, group.as_str()))?;
            let mut consumers = Vec::new();
            while let Some(row) = rows.next()? {
                let idle = now.saturating_sub(row.get("seen_at")?);
                consumers.push(Consumer {
                    name: InstanceId::new(row.get::<_, String>("name")?)?,
                    pending: row.get::<_, i64>("held")?.cast_unsigned(),
                    // Another process may have a newer time than we asked for.
                    idle: Duration::from_millis(u64::try_from(idle).unwrap_or(0)),
                });
            }
            Ok::<_, Fault>(consumers)
        },
    )
    .await
}

pub(super) async fn forget(
    transport: &Transport,
    stream: &StreamName,
    member: &Member,
) -> Result<bool, Error> {
    let key = Key::shared(stream);
    let member = member.clone();
    call(
        &transport.relaxed,
        "forget a consumer of",
        key.clone(),
        move |db| {
            let Some(stream) = key.find(db)? else {
                return Ok(false);
            };
            // One statement: what is handed out in between would keep the consumer.
            let forgotten = db
                .prepare_cached(
                    "DELETE FROM consumers
                     WHERE stream_id = ?1 AND group_name = ?2 AND name = ?3 AND NOT EXISTS
                         (SELECT 1 FROM pending
                          WHERE stream_id = ?1 AND group_name = ?2 AND consumer = ?3)",
                )?
                .execute((stream.id, member.group.as_str(), member.consumer.as_str()))?;
            Ok(forgotten > 0)
        },
    )
    .await
}
