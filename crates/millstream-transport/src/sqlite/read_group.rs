use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use millstream_core::clock::Clock;
use millstream_core::entry::Entry;
use millstream_core::error::Error;
use millstream_core::log::ReadLimit;
use millstream_core::name::StreamName;
use millstream_core::queue::Member;

use super::call::{Fault, call};
use super::connect::Transport;
use super::consumer::{self, SEEN_AGAIN};
use super::id::Columns;
use super::key::Key;
use super::page::{Page, row_count};

pub(super) async fn read_group(
    transport: &Transport,
    stream: &StreamName,
    member: &Member,
    limit: ReadLimit,
    wait: Duration,
) -> Result<Vec<Entry>, Error> {
    let key = Key::shared(stream);
    let mut waiter = transport.waiter(&key, wait);
    loop {
        waiter.listen();
        let (looking, member) = (key.clone(), member.clone());
        let clock = Arc::clone(&transport.clock);
        let entries = call(&transport.relaxed, "read a group of", &key, move |db| {
            hand_out(db, &looking, &member, limit, &*clock)
        })
        .await?;
        if !entries.is_empty() || limit.count == 0 || !waiter.wait().await? {
            return Ok(entries);
        }
    }
}

fn hand_out(
    db: &mut Connection,
    key: &Key,
    member: &Member,
    limit: ReadLimit,
    clock: &dyn Clock,
) -> Result<Vec<Entry>, Fault> {
    // Idle members must not take the lock that publishers need.
    if is_settled(db, key, member, clock.now().as_millis())? {
        return Ok(Vec::new());
    }
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let stream = key.find_or_make(&transaction)?;
    let group = member.group.as_str();
    transaction
        .prepare_cached(
            "INSERT INTO groups (stream_id, name) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        )?
        .execute((stream.id, group))?;
    let now = clock.now().as_millis();
    consumer::see(&transaction, stream.id, member, now)?;
    let entries = {
        let mut select = transaction.prepare_cached(
            "SELECT e.high AS high, e.low AS low, e.fields AS fields
             FROM groups g JOIN entries e
               ON e.stream_id = g.stream_id AND (e.high, e.low) > (g.high, g.low)
             WHERE g.stream_id = ?1 AND g.name = ?2
             ORDER BY e.high, e.low LIMIT ?3",
        )?;
        let mut rows = select.query((stream.id, group, row_count(limit.count)))?;
        Page::new(limit).fill(&mut rows)?
    };
    if let Some(last) = entries.last() {
        let mut insert = transaction
            .prepare_cached("INSERT OR REPLACE INTO pending VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1)")?;
        for entry in &entries {
            let id = Columns::at_most(entry.id);
            insert.execute((
                stream.id,
                group,
                id.high,
                id.low,
                member.consumer.as_str(),
                now,
            ))?;
        }
        let last = Columns::at_most(last.id);
        transaction
            .prepare_cached(
                "UPDATE groups SET high = ?3, low = ?4 WHERE stream_id = ?1 AND name = ?2",
            )?
            .execute((stream.id, group, last.high, last.low))?;
    }
    transaction.commit()?;
    Ok(entries)
}

/// Whether there is nothing to do: the group has been handed everything, and the member was seen a
/// moment ago.
fn is_settled(db: &Connection, key: &Key, member: &Member, now: i64) -> rusqlite::Result<bool> {
    let found = db
        .prepare_cached(
            "SELECT (SELECT 1 FROM entries e
                     WHERE e.stream_id = g.stream_id AND (e.high, e.low) > (g.high, g.low) LIMIT 1)
                        IS NULL,
                    c.seen_at
             FROM streams s
                 JOIN groups g ON g.stream_id = s.id
                 JOIN consumers c ON c.stream_id = g.stream_id AND c.group_name = g.name
             WHERE s.key = ?1 AND g.name = ?2 AND c.name = ?3",
        )?
        .query_row(
            (
                key.as_str(),
                member.group.as_str(),
                member.consumer.as_str(),
            ),
            |row| Ok((row.get::<_, bool>(0)?, row.get::<_, i64>(1)?)),
        )
        .optional()?;
    // A clock that went back is noted too.
    let recently = |seen_at| (0..SEEN_AGAIN).contains(&(now - seen_at));
    Ok(found.is_some_and(|(at_the_end, seen_at)| at_the_end && recently(seen_at)))
}
