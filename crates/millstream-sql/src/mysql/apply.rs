//! The transaction that settles a batch.

use std::time::Instant;

use uuid::Uuid;

use millstream_core::delivery::{Content, Plan};
use millstream_core::error::{Error, ErrorKind};
use millstream_core::lease::{Feed, Lease};
use millstream_core::store::{Applied, Batch};

use crate::batch::{Dedupe, Ending, Item, Tried, items};
use crate::described;
use crate::mysql::database::Database;
use crate::mysql::dedupe;
use crate::mysql::leases::compare_and_set;
use crate::mysql::session::Session;
use crate::mysql::settling::{Failure, Settling};
use crate::mysql::{dead_letters, inbox, parked, tables};

const DOING: &str = "apply a batch";

/// Settles a batch: all of it at once, or, when one event fails, by looking for that event.
pub(super) async fn apply(db: &Database, lease: &Lease, batch: &Batch) -> Result<Applied, Error> {
    let result = match attempt(db, lease, batch, Search::None).await {
        Err(Failure::Event(_)) => attempt(db, lease, batch, Search::Halves).await,
        result => result,
    };
    result.map_err(|failure| match failure {
        Failure::Whole(error) | Failure::Event(error) => error,
    })
}

/// What to do when an event fails.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Search {
    /// Give up the transaction. The usual case needs no savepoints.
    None,
    /// Go back to the savepoint and settle each half for itself.
    Halves,
}

async fn attempt(
    db: &Database,
    lease: &Lease,
    batch: &Batch,
    search: Search,
) -> Result<Applied, Failure> {
    let mut session = db.session().await.map_err(Failure::Whole)?;
    let open = Open::of(batch);
    open.begin(&mut session).await.map_err(Failure::Whole)?;
    let begun = Instant::now();
    match settle(db, &mut session, lease, batch, search).await {
        Ok(mut applied) => {
            // Whether it got through, if nobody answers, the shard row tells.
            open.commit(session).await.map_err(Failure::Whole)?;
            applied.took = begun.elapsed();
            Ok(applied)
        }
        // A lock that took too long undoes its statement alone, so nothing that was begun goes on after
        // an error: it is rolled back as a whole here, or with the connection.
        Err(Failure::Event(error)) => {
            open.roll_back(session).await.map_err(Failure::Whole)?;
            Err(Failure::Event(error))
        }
        Err(whole) => Err(whole),
    }
}

/// How the transaction was begun.
enum Open {
    Plain,
    /// As a branch of a distributed one, which nobody else can end: handlers work in it.
    Branch(String),
}

impl Open {
    fn of(batch: &Batch) -> Self {
        let is_handled = |content: &Content| {
            matches!(
                content,
                Content::Event {
                    plan: Plan::Apply { handler: true, .. },
                    ..
                }
            )
        };
        let mut deliveries = batch.deliveries.iter();
        match deliveries.any(|delivery| is_handled(&delivery.content)) {
            true => Self::Branch(format!("'millstream-{}'", Uuid::new_v4())),
            false => Self::Plain,
        }
    }

    async fn begin(&self, session: &mut Session) -> Result<(), Error> {
        match self {
            Self::Plain => session.begin(DOING).await,
            Self::Branch(name) => session.plain(DOING, &format!("XA START {name}")).await,
        }
    }

    async fn commit(&self, mut session: Session) -> Result<(), Error> {
        match self {
            Self::Plain => session.commit(DOING).await,
            Self::Branch(name) => {
                session.plain(DOING, &format!("XA END {name}")).await?;
                let commit = format!("XA COMMIT {name} ONE PHASE");
                session.plain(DOING, &commit).await?;
                session.give_back();
                Ok(())
            }
        }
    }

    async fn roll_back(&self, mut session: Session) -> Result<(), Error> {
        match self {
            Self::Plain => session.plain(DOING, "ROLLBACK").await?,
            Self::Branch(name) => {
                session.plain(DOING, &format!("XA END {name}")).await?;
                session.plain(DOING, &format!("XA ROLLBACK {name}")).await?;
            }
        }
        session.give_back();
        Ok(())
    }
}

async fn settle(
    db: &Database,
    session: &mut Session,
    lease: &Lease,
    batch: &Batch,
    search: Search,
) -> Result<Applied, Failure> {
    let prefix = &db.options.prefix;
    let shard = compare_and_set(session, prefix, lease, &batch.from, &batch.to)
        .await
        .map_err(Failure::Whole)?;
    let dedupe = Dedupe::of(&lease.feed, &batch.deliveries);
    let whole = |error| Failure::Whole(bookkeeping(error));
    let deliveries = &batch.deliveries;
    let contents = dedupe.contents(deliveries);
    let letters = match &batch.again {
        Some(again) => parked::take(session, prefix, again).await.map_err(whole)?,
        None => Vec::new(),
    };
    let found = match &batch.again {
        Some(_) => {
            dedupe::look_again(
                dedupe, session, prefix, shard, deliveries, &contents, &letters,
            )
            .await
        }
        None => dedupe::look(dedupe, session, prefix, shard, deliveries, &contents).await,
    }
    .map_err(whole)?;
    let items = items(deliveries, &contents, &found);
    let mut settling = Settling::begin(
        session,
        db,
        &lease.feed,
        dedupe,
        batch.again.is_none(),
        &items,
    )
    .await
    .map_err(Failure::Whole)?;
    match (&batch.set_aside, search) {
        (Some(reason), _) => settling.set_aside(&items, reason),
        (None, Search::None) => settling.settle_at_once(&items).await?,
        (None, Search::Halves) => settling.settle(&items).await.map_err(Failure::Whole)?,
    }
    let (any_parked, endings) = settling.end();
    // What was written may have changed another row, if a table has a unique key that was not known.
    for shape in described::planned(batch) {
        let version = tables::version(session, &shape.table).await;
        let compared = version.and_then(|version| described::compare(shape, version));
        compared.map_err(Failure::Whole)?;
    }
    match &batch.again {
        Some(again) => {
            let (tried, applied) = Tried::of(&letters, &endings, again.dead_before);
            let recorded = parked::record(session, prefix, &tried, batch.applied_at).await;
            recorded.map(|()| applied)
        }
        None => {
            record(
                db, session, lease, shard, batch, &items, &endings, any_parked,
            )
            .await
        }
    }
    .map_err(whole)
}

/// An error in our own tables is never an event's fault.
fn bookkeeping(error: Error) -> Error {
    if error.kind().is_of_one_event() {
        return Error::with_source(
            ErrorKind::Misconfigured,
            "our own tables refused a row",
            error,
        );
    }
    error
}

/// Writes inbox rows and dead letters.
#[expect(
    clippy::too_many_arguments,
    reason = "all of a batch comes together here"
)]
async fn record(
    db: &Database,
    session: &mut Session,
    lease: &Lease,
    shard: i64,
    batch: &Batch,
    items: &[Item<'_>],
    endings: &[Ending],
    any_parked: bool,
) -> Result<Applied, Error> {
    let prefix = &db.options.prefix;
    let shared = matches!(lease.feed, Feed::Shared(_));
    let mut inbox = inbox::Insert::new(shard, shared, batch.applied_at);
    let mut letters = dead_letters::Insert::new(shard, &lease.feed, batch.applied_at);
    let mut repeated = Vec::new();
    let mut any_parked = any_parked;
    let mut applied = Applied::default();
    for (item, ending) in items.iter().zip(endings) {
        let delivery = item.delivery;
        let Some(outcome) = ending.outcome() else {
            repeated.push(delivery);
            applied.repeated += 1;
            continue;
        };
        if let Some((reason, key)) = ending.kept(delivery) {
            letters.push(item, key, outcome, reason);
            any_parked = true;
        }
        inbox.push(item, outcome);
        applied.counts.add(outcome);
    }
    letters.write(session, prefix).await?;
    inbox.write(session, prefix).await?;
    if let Feed::Owned(from) = &lease.feed
        && any_parked
        && !repeated.is_empty()
    {
        dead_letters::follow(session, prefix, from, shard, &repeated).await?;
    }
    Ok(applied)
}
