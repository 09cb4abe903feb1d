use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Rows, TransactionBehavior};

use millstream_core::entry::EntryId;
use millstream_core::error::Error;
use millstream_core::log::ReadLimit;
use millstream_core::name::StreamName;
use millstream_core::queue::{Claimed, Member};

use super::call::{Fault, call};
use super::connect::Transport;
use super::consumer;
use super::id::Columns;
use super::key::Key;
use super::page::{Page, row_count};

pub(super) async fn claim(
    transport: &Transport,
    stream: &StreamName,
    member: &Member,
    idle_min: Duration,
    after: EntryId,
    limit: ReadLimit,
) -> Result<Claimed, Error> {
    let key = Key::shared(stream);
    let request = Request {
        member: member.clone(),
        idle_min: i64::try_from(idle_min.as_millis()).unwrap_or(i64::MAX),
        after: Columns::at_most(after),
        limit,
        now: transport.clock.now().as_millis(),
    };
    call(&transport.relaxed, "claim from", key.clone(), move |db| {
        take_over(db, &key, &request)
    })
    .await
}

struct Request {
    member: Member,
    idle_min: i64,
    after: Columns,
    limit: ReadLimit,
    now: i64,
}

fn take_over(db: &mut Connection, key: &Key, request: &Request) -> Result<Claimed, Fault> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let Some(stream) = key.find(&transaction)? else {
        return Ok(Claimed::default());
    };
    let claimed = look(&transaction, stream.id, request)?;
    let group = request.member.group.as_str();
    {
        let mut take = transaction.prepare_cached(
            "UPDATE pending
             SET consumer = ?5, delivered_at = ?6, delivery_count = delivery_count + 1
             WHERE stream_id = ?1 AND group_name = ?2 AND high = ?3 AND low = ?4",
        )?;
        let consumer = request.member.consumer.as_str();
        for id in claimed
            .entries
            .iter()
            .map(|entry| Columns::at_most(entry.id))
        {
            take.execute((stream.id, group, id.high, id.low, consumer, request.now))?;
        }
    }
    drop_gone(&transaction, stream.id, group, &claimed.gone)?;
    consumer::see(&transaction, stream.id, &request.member, request.now)?;
    transaction.commit()?;
    Ok(claimed)
}

/// What there is to take over, within the limit. What is gone does not wait to become idle: nobody
/// can do anything with it.
fn look(db: &Connection, stream_id: i64, request: &Request) -> Result<Claimed, Fault> {
    // A clock that went back leaves negative idle times: those count as none.
    let mut select = db.prepare_cached(
        "SELECT p.high AS high, p.low AS low, e.fields AS fields
         FROM pending p LEFT JOIN entries e
           ON e.stream_id = p.stream_id AND e.high = p.high AND e.low = p.low
         WHERE p.stream_id = ?1 AND p.group_name = ?2 AND (p.high, p.low) > (?3, ?4)
           AND (e.fields IS NULL OR max(?5 - p.delivered_at, 0) >= ?6)
         ORDER BY p.high, p.low LIMIT ?7",
    )?;
    let mut rows = select.query((
        stream_id,
        request.member.group.as_str(),
        request.after.high,
        request.after.low,
        request.now,
        request.idle_min,
        // One more tells whether to go on.
        row_count(request.limit.count.saturating_add(1)),
    ))?;
    collect(&mut rows, request.after, request.limit)
}

/// Steps through rows with `high`, `low` and `fields`, which are null where an entry is gone. Both
/// count for the limit.
pub(super) fn collect(
    rows: &mut Rows<'_>,
    after: Columns,
    limit: ReadLimit,
) -> Result<Claimed, Fault> {
    let mut page = Page::new(limit);
    let mut gone = Vec::new();
    let mut last = after.id();
    let mut next = None;
    while let Some(row) = rows.next()? {
        if page.is_full() || page.entries.len() + gone.len() >= limit.count {
            next = Some(last);
            break;
        }
        let id = Columns::of(row)?.id();
        if row.get_ref("fields")? == ValueRef::Null {
            gone.push(id);
        } else if !page.push(id, row)? {
            next = Some(last);
            break;
        }
        last = id;
    }
    Ok(Claimed {
        entries: page.entries,
        gone,
        next,
    })
}

/// Forgets that entries were handed out which nobody can apply any more.
pub(super) fn drop_gone(
    db: &Connection,
    stream_id: i64,
    group: &str,
    gone: &[EntryId],
) -> rusqlite::Result<()> {
    let mut delete = db.prepare_cached(
        "DELETE FROM pending
         WHERE stream_id = ?1 AND group_name = ?2 AND high = ?3 AND low = ?4",
    )?;
    for id in gone.iter().copied().map(Columns::at_most) {
        delete.execute((stream_id, group, id.high, id.low))?;
    }
    Ok(())
}
