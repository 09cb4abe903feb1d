//! What the handles of a site do with events that code handles.

use async_trait::async_trait;
use millstream_core::event::Event;
use millstream_sql::postgres::{Handler, Handlers};
use tokio::sync::Notify;
use tokio_postgres::Transaction;

/// Told when a handler hangs, and what it waits for.
pub(super) static HANGING: Notify = Notify::const_new();
pub(super) static GOES_ON: Notify = Notify::const_new();

type Done = Result<(), Box<dyn std::error::Error + Send + Sync>>;

pub(super) fn handlers() -> Handlers {
    [
        ("account.credited", Act::Credit),
        ("handler.fails", Act::Fail),
        ("handler.panics", Act::Panic),
        ("handler.conflicts", Act::Conflict),
        ("handler.commits", Act::Commit),
        ("handler.rolls_back", Act::RollBack),
        ("handler.begins_anew", Act::BeginAnew),
        ("handler.hangs", Act::Hang),
    ]
    .into_iter()
    .fold(Handlers::default(), |handlers, (name, act)| {
        handlers.on(name, act)
    })
}

enum Act {
    Credit,
    Fail,
    Panic,
    Conflict,
    Commit,
    RollBack,
    BeginAnew,
    Hang,
}

#[async_trait]
impl Handler for Act {
    async fn handle(&self, event: &Event, tx: &Transaction<'_>) -> Done {
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
            Self::Commit => {
                leave(event, tx).await?;
                Ok(tx.batch_execute("COMMIT").await?)
            }
            Self::RollBack => {
                leave(event, tx).await?;
                Ok(tx.batch_execute("ROLLBACK").await?)
            }
            Self::Hang => {
                leave(event, tx).await?;
                HANGING.notify_one();
                GOES_ON.notified().await;
                leave(event, tx).await
            }
            Self::BeginAnew => {
                tx.batch_execute("ROLLBACK; BEGIN").await?;
                leave(event, tx).await
            }
        }
    }
}

async fn credit(event: &Event, tx: &Transaction<'_>) -> Done {
    let changed = tx
        .execute(
            "UPDATE accounts SET balance = balance + ($3::text::json ->> 'amount')::integer
             WHERE tenant_id = $1 AND id = $2",
            &[
                &event.tenant.as_str(),
                &event.entity.as_str(),
                &event.data.as_str(),
            ],
        )
        .await?;
    match changed {
        0 => Err("there is no such account".into()),
        _ => Ok(()),
    }
}

/// A trace that must not be seen when the handler fails.
async fn leave(event: &Event, tx: &Transaction<'_>) -> Done {
    tx.execute(
        "INSERT INTO effects (tenant_id, id) VALUES ($1, $2)",
        &[&event.tenant.as_str(), &event.entity.as_str()],
    )
    .await?;
    Ok(())
}
