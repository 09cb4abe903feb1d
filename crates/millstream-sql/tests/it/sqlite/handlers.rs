//! What the handles of a site do with events that code handles.

use millstream_core::event::Event;
use millstream_sql::sqlite::Handlers;
use rusqlite::Transaction;

type Done = Result<(), Box<dyn std::error::Error + Send + Sync>>;

pub(super) fn handlers() -> Handlers {
    Handlers::default()
        .on("account.credited", credit)
        .on("handler.fails", |event: &Event, tx: &Transaction<'_>| {
            leave(event, tx)?;
            Err("it does not like the event".into())
        })
        .on("handler.panics", |event: &Event, tx: &Transaction<'_>| {
            leave(event, tx)?;
            panic!("on purpose")
        })
        .on(
            "handler.conflicts",
            |event: &Event, tx: &Transaction<'_>| {
                leave(event, tx)?;
                leave(event, tx)
            },
        )
        .on("handler.commits", |event: &Event, tx: &Transaction<'_>| {
            leave(event, tx)?;
            Ok(tx.execute_batch("COMMIT")?)
        })
        .on(
            "handler.rolls_back",
            |event: &Event, tx: &Transaction<'_>| {
                leave(event, tx)?;
                Ok(tx.execute_batch("ROLLBACK")?)
            },
        )
        .on(
            "handler.begins_anew",
            |event: &Event, tx: &Transaction<'_>| {
                tx.execute_batch("ROLLBACK; BEGIN IMMEDIATE")?;
                leave(event, tx)
            },
        )
}

fn credit(event: &Event, tx: &Transaction<'_>) -> Done {
    let changed = tx.execute(
        "UPDATE accounts SET balance = balance + json_extract(?3, '$.amount')
         WHERE tenant_id = ?1 AND id = ?2",
        [
            event.tenant.as_str(),
            event.entity.as_str(),
            event.data.as_str(),
        ],
    )?;
    match changed {
        0 => Err("there is no such account".into()),
        _ => Ok(()),
    }
}

/// A trace that must not be seen when the handler fails.
fn leave(event: &Event, tx: &Transaction<'_>) -> Done {
    tx.execute(
        "INSERT INTO effects (tenant_id, id) VALUES (?1, ?2)",
        [event.tenant.as_str(), event.entity.as_str()],
    )?;
    Ok(())
}
