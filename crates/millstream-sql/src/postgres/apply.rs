//! The transaction that settles a batch.

use std::time::Instant;

use deadpool_postgres::Transaction;

use millstream_core::error::{Error, ErrorKind};
use millstream_core::lease::{Feed, Lease};
use millstream_core::store::{Applied, Batch};

use crate::batch::{Dedupe, Ending, Item, Tried, items, set_aside};
use crate::described;
use crate::identifier::Prefix;
use crate::postgres::database::{Database, while_doing};
use crate::postgres::dead_letters::{self, Parked};
use crate::postgres::inbox::{self, Settled};
use crate::postgres::leases::compare_and_set;
use crate::postgres::settling::Settling;
use crate::postgres::{dedupe, parked, tables};

/// Statements that a connection keeps prepared. Each set of columns that events name has its own.
const STATEMENTS_MAX: usize = 256;

/// Settles a batch: all of it at once, or, when one event fails, by looking for that event.
pub(super) async fn apply(db: &Database, lease: &Lease, batch: &Batch) -> Result<Applied, Error> {
    let mut result = Box::pin(attempt(db, lease, batch, Search::None)).await;
    if let Err(failure) = &result {
        // A column may have got another type.
        db.forget_types();
        if matches!(failure, Failure::Event(_)) {
            result = Box::pin(attempt(db, lease, batch, Search::Halves)).await;
        }
    }
    match result {
        Ok(applied) => Ok(applied),
        Err(Failure::Commit(error)) => Box::pin(apply_apart(db, lease, batch, error)).await,
        Err(Failure::Whole(error) | Failure::Event(error)) => Err(error),
    }
}

/// Settles the halves of a batch in transactions of their own, down to the event whose commit fails.
///
/// Only the commit looks at deferred constraints, so no savepoint finds that event.
async fn apply_apart(
    db: &Database,
    lease: &Lease,
    batch: &Batch,
    error: Error,
) -> Result<Applied, Error> {
    if batch.deliveries.len() < 2 {
        let parked = Box::pin(attempt(db, lease, batch, Search::Park(&error))).await;
        return parked.map_err(|failure| match failure {
            Failure::Whole(error) | Failure::Event(error) | Failure::Commit(error) => error,
        });
    }
    let (first, second) = batch.halves();
    let mut applied = apply(db, lease, &first).await?;
    let more = apply(db, lease, &second).await?;
    applied.add(&more);
    Ok(applied)
}

/// What to do when an event fails.
#[derive(Clone, Copy)]
enum Search<'a> {
    /// Give up the transaction. The usual case needs no savepoints.
    None,
    /// Go back to the savepoint and settle each half for itself.
    Halves,
    /// It did: park the one event of the batch for this reason.
    Park(&'a Error),
}

/// Whose error it is.
pub(super) enum Failure {
    /// One event's; the others can be settled without it.
    Event(Error),
    /// One event's, but only the commit said so.
    Commit(Error),
    /// Everybody's: the transaction is given up.
    Whole(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        if error.kind().is_of_one_event() {
            Self::Event(error)
        } else {
            Self::Whole(error)
        }
    }
}

async fn attempt(
    db: &Database,
    lease: &Lease,
    batch: &Batch,
    search: Search<'_>,
) -> Result<Applied, Failure> {
    const DOING: &str = "apply a batch";
    let failed = while_doing(DOING);
    let whole = |error| Failure::Whole(failed(error));
    let prefix = &db.options.prefix;
    let mut connection = db.connection(DOING).await.map_err(Failure::Whole)?;
    if connection.statement_cache.size() > STATEMENTS_MAX {
        connection.statement_cache.clear();
    }
    let tx = connection.transaction().await.map_err(whole)?;
    let shard = compare_and_set(&tx, prefix, lease, &batch.from, &batch.to)
        .await
        .map_err(Failure::Whole)?;
    // Before, it may have waited for somebody else's.
    let begun = Instant::now();

    let dedupe = Dedupe::of(&lease.feed, &batch.deliveries);
    let deliveries = &batch.deliveries;
    let contents = dedupe.contents(deliveries);
    let letters = match &batch.again {
        Some(again) => parked::take(&tx, prefix, again)
            .await
            .map_err(bookkeeping)?,
        None => Vec::new(),
    };
    let found = match &batch.again {
        Some(_) => {
            dedupe::look_again(dedupe, &tx, prefix, shard, deliveries, &contents, &letters).await
        }
        None => dedupe::look(dedupe, &tx, prefix, shard, deliveries, &contents).await,
    }
    .map_err(bookkeeping)?;
    let items = items(deliveries, &contents, &found);
    let mut settling = Settling::begin(db, &tx, lease, dedupe, batch.again.is_none(), &items)
        .await
        .map_err(bookkeeping)?;
    match (&batch.set_aside, search) {
        (Some(reason), _) => settling.endings = set_aside(dedupe, &items, reason),
        (None, Search::None) => settling.settle_all(&items).await?,
        (None, Search::Halves) => settling
            .settle_apart(&items)
            .await
            .map_err(Failure::Whole)?,
        (None, Search::Park(error)) => {
            for item in &items {
                settling.park(item.delivery, error);
            }
        }
    }

    let (endings, any_parked) = (settling.endings, settling.any_parked);
    are_as_described(&tx, prefix, batch)
        .await
        .map_err(Failure::Whole)?;
    let mut applied = match &batch.again {
        Some(again) => {
            let (tried, applied) = Tried::of(&letters, &endings, again.dead_before);
            let recorded = parked::record(&tx, prefix, &tried, batch.applied_at).await;
            recorded.map(|()| applied)
        }
        None => record(&tx, db, lease, shard, batch, &items, &endings, any_parked).await,
    }
    .map_err(bookkeeping)?;
    tx.commit().await.map_err(|error| match failed(error) {
        error if error.kind().is_of_one_event() => Failure::Commit(error),
        error => Failure::Whole(error),
    })?;
    applied.took = begun.elapsed();
    Ok(applied)
}

/// Whether the tables of a batch are as they were when its changes were planned. Those that were written to
/// stay so until the end of the transaction.
async fn are_as_described(
    tx: &Transaction<'_>,
    prefix: &Prefix,
    batch: &Batch,
) -> Result<(), Error> {
    let shapes = described::planned(batch);
    if shapes.is_empty() {
        return Ok(());
    }
    let declared = tx.prepare_cached(tables::DECLARED).await;
    let declared = declared.map_err(while_doing("describe a table"))?;
    for shape in shapes {
        let version = tables::version(&**tx, &declared, prefix, &shape.table).await?;
        described::compare(shape, version)?;
    }
    Ok(())
}

/// An error in our own tables is never an event's fault.
fn bookkeeping(error: Error) -> Failure {
    if error.kind().is_of_one_event() {
        return Failure::Whole(Error::with_source(
            ErrorKind::Misconfigured,
            "our own tables refused a row",
            error,
        ));
    }
    Failure::Whole(error)
}

/// Writes inbox rows and dead letters.
#[expect(clippy::too_many_arguments, reason = "all of it is of one transaction")]
async fn record(
    tx: &Transaction<'_>,
    db: &Database,
    lease: &Lease,
    shard: i64,
    batch: &Batch,
    items: &[Item<'_>],
    endings: &[Ending],
    any_parked: bool,
) -> Result<Applied, Error> {
    let prefix = &db.options.prefix;
    let mut applied = Applied::default();
    let (mut settled, mut parked, mut repeated) = (Vec::new(), Vec::new(), Vec::new());
    for (item, ending) in items.iter().zip(endings) {
        let (delivery, twin) = (item.delivery, item.found.twin());
        let Some(outcome) = ending.outcome() else {
            repeated.push(delivery);
            continue;
        };
        if let Some((reason, key)) = ending.kept(delivery) {
            parked.push(Parked {
                delivery,
                twin,
                key,
                outcome,
                reason,
            });
        }
        settled.push(Settled { item, outcome });
        applied.counts.add(outcome);
    }
    applied.repeated = repeated.len() as u64;

    let shared = matches!(lease.feed, Feed::Shared(_));
    let now = batch.applied_at;
    inbox::insert(tx, prefix, shard, shared, now, &settled).await?;
    dead_letters::insert(tx, prefix, shard, &lease.feed, now, &parked).await?;
    if let Feed::Owned(from) = &lease.feed
        && (any_parked || !parked.is_empty())
    {
        for delivery in repeated {
            dead_letters::follow(tx, prefix, from, shard, delivery).await?;
        }
    }
    Ok(applied)
}
