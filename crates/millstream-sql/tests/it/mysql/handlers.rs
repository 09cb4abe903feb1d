//! What the handles of a site do with events that code handles.

use async_trait::async_trait;
use millstream_core::event::Event;
use millstream_sql::mysql::{Handler, Handlers, Lent};
use tokio::sync::Notify;

/// Told when a handler hangs, and what it waits for.
pub(super) static HANGING: Notify = Notify::const_new();
pub(super) static GOES_ON: Notify = Notify::const_new();

type Done = Result<(), Box<dyn std::error::Error + Send + Sync>>;

pub(super) fn handlers() -> Handlers {
    let acts = [
        ("account.credited", Act::Credit),
        ("handler.fails", Act::Fail),
        ("handler.panics", Act::Panic),
        ("handler.conflicts", Act::Conflict),
        ("handler.commits", Act::End("COMMIT")),
        ("handler.rolls_back", Act::End("ROLLBACK")),
        ("handler.begins_anew", Act::BeginAnew),
        ("handler.hangs", Act::Hang),
        (
            "handler.creates",
            Act::End("CREATE TABLE made (id INTEGER)"),
        ),
    ];
    acts.into_iter()
        .fold(Handlers::default(), |handlers, (event_type, act)| {
            handlers.on(event_type, act)
        })
}

enum Act {
    Credit,
    Fail,
    Panic,
    Conflict,
    End(&'static str),
    BeginAnew,
    Hang,
}

#[async_trait]
impl Handler for Act {
    async fn handle(&self, event: &Event, tx: &mut Lent<'_>) -> Done {
        match self {
            Self::Credit => credit(event, tx).await,
            Self::Fail => {
                leave(event, tx).await?;
                Err("it does not like the event".into())
            }
            Self::Panic => {
                leave(event, tx).await?;
                panic!("on purpose")
            }
            Self::Conflict => {
                leave(event, tx).await?;
                leave(event, tx).await
            }
            Self::Hang => {
                leave(event, tx).await?;
                HANGING.notify_one();
                GOES_ON.notified().await;
                leave(event, tx).await
            }
            Self::End(sql) => {
                leave(event, tx).await?;
                Ok(tx.query_drop(sql).await?)
            }
            Self::BeginAnew => {
                tx.query_drop("ROLLBACK").await?;
                tx.query_drop("START TRANSACTION").await?;
                leave(event, tx).await
            }
        }
    }
}

async fn credit(event: &Event, tx: &mut Lent<'_>) -> Done {
    let sql = "UPDATE accounts SET balance = balance + json_extract(?, '$.amount')
               WHERE tenant_id = ? AND id = ?";
    let (tenant, id) = (event.tenant.as_str(), event.entity.as_str());
    match tx.exec_drop(sql, (event.data.as_str(), tenant, id)).await? {
        0 => Err("there is no such account".into()),
        _ => Ok(()),
    }
}

/// A trace that must not be seen when the handler fails.
async fn leave(event: &Event, tx: &mut Lent<'_>) -> Done {
    let sql = "INSERT INTO effects (tenant_id, id) VALUES (?, ?)";
    let row = (event.tenant.as_str(), event.entity.as_str());
    tx.exec_drop(sql, row).await?;
    Ok(())
}
