use redis::Value;
use tracing::warn;

use millstream_core::entry::Shard;
use millstream_core::error::{Error, ErrorKind};
use millstream_core::log::Position;
use millstream_core::name::{AppName, DatabaseId};

use super::connect::Transport;
use super::error::{Class, Fault};
use super::key::Key;
use super::reply;
use super::script::Script;

/// Marks the consumer that stands for the database which holds a group. Whatever else somebody makes a
/// consumer in the group for does no harm.
const HOLDER: &str = "database:";

static POSITION: Script = Script::new(include_str!("scripts/position.lua"));

pub(super) async fn publish(
    transport: &Transport,
    shard: &Shard,
    position: &Position,
) -> Result<(), Error> {
    let key = Key::owned(shard);
    let answer = POSITION
        .run(&transport.router, key.as_str(), |command| {
            command
                .arg(position.group.as_str())
                .arg(format!("{HOLDER}{}", position.database))
                .arg(HOLDER)
                .arg(position.at.to_string());
        })
        .await;
    answer
        .and_then(|answer| match answer {
            Value::Nil => Ok(()),
            holder => {
                let holder = reply::text(holder)?;
                let database = holder.strip_prefix(HOLDER).unwrap_or(&holder);
                let group = &position.group;
                Err(Fault::Ours(
                    ErrorKind::Fenced,
                    format!("group {group} is held by database {database}"),
                ))
            }
        })
        .map_err(transport.cannot("publish a position of", key))
}

pub(super) async fn all(transport: &Transport, shard: &Shard) -> Result<Vec<Position>, Error> {
    let key = Key::owned(shard);
    find(transport, &key)
        .await
        .map_err(transport.cannot("read the positions of", key))
}

async fn find(transport: &Transport, key: &Key) -> Result<Vec<Position>, Fault> {
    let mut positions = Vec::new();
    for group in info(transport, key, &["GROUPS", key.as_str()]).await? {
        let mut about = reply::pairs(group)?;
        let name = reply::text(reply::need(&mut about, "name")?)?;
        let at = reply::id(reply::need(&mut about, "last-delivered-id")?)?;
        let Ok(group) = AppName::new(&name) else {
            continue;
        };
        let consumers = info(transport, key, &["CONSUMERS", key.as_str(), &name]).await?;
        let mut holders = Vec::new();
        for consumer in consumers {
            let name = reply::text(reply::need(&mut reply::pairs(consumer)?, "name")?)?;
            let database = name.strip_prefix(HOLDER).map(DatabaseId::new);
            holders.extend(database.transpose().ok().flatten());
        }
        match <[DatabaseId; 1]>::try_from(holders) {
            Ok([database]) => positions.push(Position {
                group,
                database,
                at,
            }),
            Err(holders) if holders.is_empty() => {}
            Err(_) => warn!(%key, %group, "several databases stand in one group; left out"),
        }
    }
    Ok(positions)
}

/// What XINFO lists; nothing where the key or the group is missing.
async fn info(transport: &Transport, key: &Key, what: &[&str]) -> Result<Vec<Value>, Fault> {
    let mut command = redis::cmd("XINFO");
    command.arg(what);
    match transport.router.run(key.as_bytes(), &command).await {
        Err(fault) if fault.class() == Some(Class::NoGroup) => Ok(Vec::new()),
        answer => reply::array(answer?),
    }
}

pub(super) async fn forget(
    transport: &Transport,
    shard: &Shard,
    group: &AppName,
) -> Result<(), Error> {
    let key = Key::owned(shard);
    let mut command = redis::cmd("XGROUP");
    command.arg("DESTROY").arg(key.as_str()).arg(group.as_str());
    match transport.router.run(key.as_bytes(), &command).await {
        Err(fault) if fault.class() == Some(Class::NoGroup) => Ok(()),
        answer => answer
            .map(drop)
            .map_err(transport.cannot("forget a position of", key)),
    }
}
