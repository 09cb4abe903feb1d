use std::time::Duration;

use redis::Value;

use millstream_core::entry::EntryId;
use millstream_core::error::Error;
use millstream_core::name::{AppName, StreamName};
use millstream_core::queue::{Group, PendingEntry};

use super::connect::Transport;
use super::consumer;
use super::describe::about;
use super::error::{Class, Fault};
use super::key::Key;
use super::reply;

/// Entries in one answer to XPENDING.
const PENDING_MAX: usize = 1_000;

pub(super) async fn pending(
    transport: &Transport,
    stream: &StreamName,
    group: &AppName,
    after: EntryId,
    count: usize,
) -> Result<Vec<PendingEntry>, Error> {
    let key = Key::shared(stream);
    find_pending(transport, &key, group, after, count)
        .await
        .map_err(transport.cannot("read pending entries of", key))
}

async fn find_pending(
    transport: &Transport,
    key: &Key,
    group: &AppName,
    after: EntryId,
    count: usize,
) -> Result<Vec<PendingEntry>, Fault> {
    let mut pending: Vec<PendingEntry> = Vec::new();
    while pending.len() < count {
        let after = pending.last().map_or(after, |entry| entry.id);
        if after == EntryId::new(u64::MAX, u64::MAX) {
            break;
        }
        let page = (count - pending.len()).min(PENDING_MAX);
        let mut command = redis::cmd("XPENDING");
        command.arg(key.as_str()).arg(group.as_str());
        command.arg(format!("({after}")).arg("+").arg(page);
        let answer = match transport.router.run(key.as_bytes(), &command).await {
            Err(fault) if fault.class() == Some(Class::NoGroup) => break,
            answer => reply::array(answer?)?,
        };
        let ended = answer.len() < page;
        for item in answer {
            pending.push(pending_entry(item)?);
        }
        if ended {
            break;
        }
    }
    Ok(pending)
}

fn pending_entry(item: Value) -> Result<PendingEntry, Fault> {
    let Ok([id, consumer, idle, delivery_count]) = <[Value; 4]>::try_from(reply::array(item)?)
    else {
        return Err(Fault::shape("a pending entry without its four parts"));
    };
    Ok(PendingEntry {
        id: reply::id(id)?,
        consumer: consumer::name(consumer)?,
        idle: Duration::from_millis(reply::number(idle)?),
        delivery_count: reply::number(delivery_count)?,
    })
}

/// The groups that applications can have made: a name that none can have is somebody's own affair.
pub(super) async fn groups(
    transport: &Transport,
    stream: &StreamName,
) -> Result<Vec<Group>, Error> {
    let key = Key::shared(stream);
    find_groups(transport, &key)
        .await
        .map_err(transport.cannot("read the groups of", key))
}

async fn find_groups(transport: &Transport, key: &Key) -> Result<Vec<Group>, Fault> {
    let stream = about(transport, key).await?;
    let mut command = redis::cmd("XINFO");
    command.arg("GROUPS").arg(key.as_str());
    let answer = match transport.router.run(key.as_bytes(), &command).await {
        Err(fault) if fault.class() == Some(Class::NoGroup) => return Ok(Vec::new()),
        answer => reply::array(answer?)?,
    };
    let mut groups = Vec::new();
    for item in answer {
        let mut info = reply::pairs(item)?;
        let Ok(name) = AppName::new(reply::text(reply::need(&mut info, "name")?)?) else {
            continue;
        };
        let last_delivered = reply::id(reply::need(&mut info, "last-delivered-id")?)?;
        // The server's own count is off where entries were trimmed before they were handed out, and
        // missing where somebody removed entries one by one. Then at most all of them are to come.
        let lag = match (stream.first, reply::need(&mut info, "lag")?) {
            (None, _) => 0,
            (Some(first), _) if last_delivered < first => stream.length,
            (Some(_), _) if last_delivered >= stream.last => 0,
            (Some(_), Value::Nil) => stream.length,
            (Some(_), lag) => reply::number(lag)?.min(stream.length),
        };
        groups.push(Group {
            name,
            last_delivered,
            pending: reply::number(reply::need(&mut info, "pending")?)?,
            lag,
        });
    }
    Ok(groups)
}
