use rusqlite::{OptionalExtension, TransactionBehavior};

use millstream_core::entry::Shard;
use millstream_core::error::{Error, ErrorKind};
use millstream_core::log::Position;
use millstream_core::name::{AppName, DatabaseId};

use super::call::{Fault, call};
use super::connect::Transport;
use super::id::Columns;
use super::key::Key;

pub(super) async fn publish(
    transport: &Transport,
    shard: &Shard,
    position: &Position,
) -> Result<(), Error> {
    let key = Key::owned(shard);
    let at = Columns::exact(position.at)?;
    let position = position.clone();
    call(
        &transport.relaxed,
        "publish a position of",
        key.clone(),
        move |db| publish_upwards(db, &key, &position, at),
    )
    .await
}

fn publish_upwards(
    db: &mut rusqlite::Connection,
    key: &Key,
    position: &Position,
    at: Columns,
) -> Result<(), Fault> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let stream = key.find_or_make(&transaction)?;
    let group = position.group.as_str();
    let held = transaction
        .prepare_cached(
            "SELECT database_id, high, low FROM positions WHERE stream_id = ?1 AND group_name = ?2",
        )?
        .query_row((stream.id, group), |row| {
            Ok((row.get::<_, String>("database_id")?, Columns::of(row)?))
        })
        .optional()?;
    match held {
        Some((database, _)) if database != position.database.as_str() => {
            return Err(Fault::Ours(
                ErrorKind::Fenced,
                format!("group {group} is held by database {database}"),
            ));
        }
        Some((_, held)) if held >= at => return Ok(()),
        _ => {}
    }
    transaction
        .prepare_cached("INSERT OR REPLACE INTO positions VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute((
            stream.id,
            group,
            position.database.as_str(),
            at.high,
            at.low,
        ))?;
    Ok(transaction.commit()?)
}

pub(super) async fn all(transport: &Transport, shard: &Shard) -> Result<Vec<Position>, Error> {
    let key = Key::owned(shard);
    call(
        &transport.reading,
        "read the positions of",
        key.clone(),
        move |db| {
            let mut select = db.prepare_cached(
                "SELECT group_name, database_id, high, low FROM positions
             WHERE stream_id = (SELECT id FROM streams WHERE key = ?1) ORDER BY group_name",
            )?;
            let mut rows = select.query([key.as_str()])?;
            let mut positions = Vec::new();
            while let Some(row) = rows.next()? {
                positions.push(Position {
                    group: AppName::new(row.get_ref("group_name")?.as_str().unwrap_or_default())?,
                    database: DatabaseId::new(
                        row.get_ref("database_id")?.as_str().unwrap_or_default(),
                    )?,
                    at: Columns::of(row)?.id(),
                });
            }
            Ok(positions)
        },
    )
    .await
}

pub(super) async fn forget(
    transport: &Transport,
    shard: &Shard,
    group: &AppName,
) -> Result<(), Error> {
    let key = Key::owned(shard);
    let group = group.clone();
    call(
        &transport.durable,
        "forget a position of",
        key.clone(),
        move |db| {
            db.prepare_cached(
                "DELETE FROM positions
             WHERE stream_id = (SELECT id FROM streams WHERE key = ?1) AND group_name = ?2",
            )?
            .execute((key.as_str(), group.as_str()))?;
            Ok(())
        },
    )
    .await
}
