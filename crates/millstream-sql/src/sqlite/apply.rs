//! The transaction that settles a batch.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use millstream_core::change::Change;
use millstream_core::delivery::{Content, Delivery, Outcome, Plan, Reason};
use millstream_core::error::{Error, ErrorKind};
use millstream_core::event::Event;
use millstream_core::fold::fold;
use millstream_core::lease::{Feed, Lease};
use millstream_core::store::{Applied, Batch};
use millstream_core::wire::SOURCE_DEFAULT;

use crate::batch::{Dedupe, Ending, Item, Key, Seen, Tried, items, set_aside};
use crate::described;
use crate::sqlite::database::{Options, while_doing};
use crate::sqlite::dedupe;
use crate::sqlite::handler::{Handler, Lent};
use crate::sqlite::leases::{compare_and_set, immediate};
use crate::sqlite::write::write;
use crate::sqlite::{capture, dead_letters, inbox, parked, tables};

/// Settles a batch: all of it at once, or, when one event fails, by looking for that event.
pub(super) fn apply(
    db: &mut rusqlite::Connection,
    options: &Options,
    lease: &Lease,
    batch: &Batch,
) -> Result<Applied, Error> {
    let result = match attempt(db, options, lease, batch, Search::None) {
        Err(Failure::Event(_)) => attempt(db, options, lease, batch, Search::Halves),
        result => result,
    };
    match result {
        Ok(applied) => Ok(applied),
        Err(Failure::Commit(error)) => apply_apart(db, options, lease, batch, error),
        Err(Failure::Whole(error) | Failure::Event(error)) => Err(error),
    }
}

/// Settles the halves of a batch in transactions of their own, down to the event whose commit fails.
///
/// Only the commit looks at deferred foreign keys, so no savepoint finds that event.
fn apply_apart(
    db: &mut rusqlite::Connection,
    options: &Options,
    lease: &Lease,
    batch: &Batch,
    error: Error,
) -> Result<Applied, Error> {
    if batch.deliveries.len() < 2 {
        let parked = attempt(db, options, lease, batch, Search::Park(&error));
        return parked.map_err(|failure| match failure {
            Failure::Whole(error) | Failure::Event(error) | Failure::Commit(error) => error,
        });
    }
    let (first, second) = batch.halves();
    let mut applied = apply(db, options, lease, &first)?;
    let more = apply(db, options, lease, &second)?;
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
enum Failure {
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

fn attempt(
    db: &mut rusqlite::Connection,
    options: &Options,
    lease: &Lease,
    batch: &Batch,
    search: Search<'_>,
) -> Result<Applied, Failure> {
    let failed = while_doing("apply a batch");
    let lent = Lent::default();
    lent.guard(db)
        .map_err(|error| Failure::Whole(failed(error)))?;
    let tx = immediate(db, &failed).map_err(Failure::Whole)?;
    let begun = Instant::now();
    let shard = compare_and_set(&tx, &options.prefix, lease, &batch.from, &batch.to)
        .map_err(Failure::Whole)?;

    let marked = capture::is_any(&tx, &options.prefix).map_err(Failure::Whole)?;
    if marked {
        mark(&tx, options, true).map_err(|error| Failure::Whole(failed(error)))?;
    }
    let dedupe = Dedupe::of(&lease.feed, &batch.deliveries);
    let contents = dedupe.contents(&batch.deliveries);
    let letters = match &batch.again {
        Some(again) => parked::take(&tx, &options.prefix, again),
        None => Ok(Vec::new()),
    }
    .map_err(|error| Failure::Whole(bookkeeping(error)))?;
    let deliveries = &batch.deliveries;
    let found = match &batch.again {
        Some(_) => dedupe::look_again(
            dedupe,
            &tx,
            &options.prefix,
            shard,
            deliveries,
            &contents,
            &letters,
        ),
        None => dedupe::look(dedupe, &tx, &options.prefix, shard, deliveries, &contents),
    }
    .map_err(|error| Failure::Whole(bookkeeping(error)))?;
    let mut settling =
        Settling::begin(&tx, options, lease, dedupe, lent).map_err(Failure::Whole)?;
    // What is tried again is itself what others wait behind.
    settling.any_parked &= batch.again.is_none();
    let items = items(&batch.deliveries, &contents, &found);
    match (&batch.set_aside, search) {
        (Some(reason), _) => settling.endings = set_aside(dedupe, &items, reason),
        (None, Search::None) => {
            let endings = settling.try_range(&items)?;
            settling.endings = endings;
        }
        (None, Search::Halves) => settling.settle(&items).map_err(Failure::Whole)?,
        (None, Search::Park(error)) => {
            for item in &items {
                settling.park(item.delivery, error);
            }
        }
    }

    let endings = settling.endings;
    for shape in described::planned(batch) {
        let version = tables::version(&tx, &options.prefix, &shape.table);
        let version = version.map_err(|error| Failure::Whole(failed(error)))?;
        described::compare(shape, version).map_err(Failure::Whole)?;
    }
    let mut applied = match &batch.again {
        Some(again) => {
            let (tried, applied) = Tried::of(&letters, &endings, again.dead_before);
            parked::record(&tx, &options.prefix, &tried, batch.applied_at).map(|()| applied)
        }
        None => record(&tx, options, lease, shard, batch, &items, &endings),
    }
    .map_err(|error| Failure::Whole(bookkeeping(error)))?;
    if marked {
        mark(&tx, options, false).map_err(|error| Failure::Whole(failed(error)))?;
    }
    tx.commit().map_err(|error| match failed(error) {
        error if error.kind().is_of_one_event() => Failure::Commit(error),
        error => Failure::Whole(error),
    })?;
    applied.took = begun.elapsed();
    Ok(applied)
}

/// Begins or ends the part of the transaction whose changes no capture takes for the application's own.
fn mark(tx: &rusqlite::Transaction<'_>, options: &Options, begins: bool) -> rusqlite::Result<()> {
    let sql = match begins {
        true => "INSERT OR REPLACE INTO ~millstream_meta (name, value) VALUES (?1, '')",
        false => "DELETE FROM ~millstream_meta WHERE name = ?1",
    };
    tx.prepare_cached(&options.prefix.sql(sql))?
        .execute([capture::APPLYING])?;
    Ok(())
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
fn record(
    tx: &rusqlite::Transaction<'_>,
    options: &Options,
    lease: &Lease,
    shard: i64,
    batch: &Batch,
    items: &[Item<'_>],
    endings: &[Ending],
) -> Result<Applied, Error> {
    let shared = matches!(lease.feed, Feed::Shared(_));
    let mut inbox = inbox::Insert::prepare(tx, &options.prefix, shard, shared, batch.applied_at)?;
    let mut applied = Applied::default();
    for (item, ending) in items.iter().zip(endings) {
        let (delivery, twin) = (item.delivery, item.found.twin());
        let Some(outcome) = ending.outcome() else {
            if let Feed::Owned(from) = &lease.feed {
                dead_letters::follow(tx, &options.prefix, from, shard, delivery)?;
            }
            applied.repeated += 1;
            continue;
        };
        if let Some((reason, key)) = ending.kept(delivery) {
            let parked = dead_letters::Parked {
                delivery,
                twin,
                key,
                outcome,
                reason,
            };
            parked.insert(tx, &options.prefix, shard, &lease.feed, batch.applied_at)?;
        }
        inbox.insert(item, outcome)?;
        applied.counts.add(outcome);
    }
    Ok(applied)
}

/// A batch on its way through the transaction.
struct Settling<'a> {
    tx: &'a rusqlite::Transaction<'a>,
    options: &'a Options,
    lease: &'a Lease,
    dedupe: Dedupe<'a>,
    lent: Lent,
    /// Whether anything is parked in this database: mostly not, and then nothing need be looked up.
    any_parked: bool,
    /// Keys that were looked up.
    known: HashMap<Key, bool>,
    /// Events of this batch that are repeats if they come again.
    seen: Seen<'a>,
    /// How the deliveries so far ended.
    endings: Vec<Ending>,
}

impl<'a> Settling<'a> {
    fn begin(
        tx: &'a rusqlite::Transaction<'a>,
        options: &'a Options,
        lease: &'a Lease,
        dedupe: Dedupe<'a>,
        lent: Lent,
    ) -> Result<Self, Error> {
        let any_parked = dead_letters::any(tx, &options.prefix)?;
        Ok(Self {
            tx,
            options,
            lease,
            dedupe,
            lent,
            any_parked,
            known: HashMap::new(),
            seen: Seen::new(),
            endings: Vec::new(),
        })
    }

    /// Settles a range under a savepoint; where an event fails, each half under its own.
    ///
    /// The left half goes first, so that the right one knows what was parked.
    fn settle(&mut self, range: &[Item<'a>]) -> Result<(), Error> {
        let failed = while_doing("set a savepoint");
        self.tx
            .execute_batch("SAVEPOINT millstream_range")
            .map_err(&failed)?;
        match self.try_range(range) {
            Ok(mut endings) => {
                self.tx
                    .execute_batch("RELEASE millstream_range")
                    .map_err(&failed)?;
                self.endings.append(&mut endings);
                Ok(())
            }
            Err(Failure::Whole(error) | Failure::Commit(error)) => Err(error),
            Err(Failure::Event(error)) => {
                if self.tx.is_autocommit() {
                    return Err(Error::with_source(
                        ErrorKind::Misconfigured,
                        "a table or a trigger ends our transaction on a conflict",
                        error,
                    ));
                }
                self.tx
                    .execute_batch("ROLLBACK TO millstream_range; RELEASE millstream_range")
                    .map_err(&failed)?;
                match range {
                    [item] => {
                        self.park(item.delivery, &error);
                        Ok(())
                    }
                    _ => {
                        let (left, right) = range.split_at(range.len() / 2);
                        self.settle(left)?;
                        self.settle(right)
                    }
                }
            }
        }
    }

    fn park(&mut self, delivery: &'a Delivery, error: &Error) {
        if self.dedupe.counts_parked() {
            let identity = self.dedupe.identity(delivery);
            self.seen.extend(identity.map(|identity| (identity, None)));
        }
        if let Some(key) = self.key(delivery) {
            self.known.insert(key, true);
        }
        self.endings.push(Ending::failed(error));
    }

    /// Settles a range as a whole, and says how each delivery ends if it holds.
    ///
    /// Changes rows, but nothing in `self` that would be wrong after a rollback.
    fn try_range(&mut self, range: &[Item<'a>]) -> Result<Vec<Ending>, Failure> {
        let mut endings = Vec::with_capacity(range.len());
        let mut parked_here = HashSet::new();
        let mut seen_here = Seen::new();
        let mut changes: Vec<&'a Change> = Vec::with_capacity(range.len());
        for item in range {
            if let Some(ending) = self.dedupe.ended(item, [&self.seen, &seen_here]) {
                endings.push(ending);
                continue;
            }
            let delivery = item.delivery;
            let identity = self.dedupe.identity(delivery).map(|id| (id, item.contents));
            let parked_identity = identity.filter(|_| self.dedupe.counts_parked());
            let key = self.key(delivery);
            if let Some(key) = &key
                && (parked_here.contains(key) || self.is_parked(key).map_err(Failure::Whole)?)
            {
                seen_here.extend(parked_identity);
                let reason = Reason::new("waits behind an earlier event of its key");
                endings.push(Ending::Parked(Outcome::Blocked, reason));
                continue;
            }
            let reason = match &delivery.content {
                Content::Undecodable(undecodable) => undecodable.reason.clone(),
                Content::Event {
                    plan: Plan::Invalid(reason),
                    ..
                } => reason.clone(),
                Content::Event {
                    plan: Plan::Skip, ..
                } => {
                    seen_here.extend(identity);
                    endings.push(Ending::Settled(Outcome::Skipped));
                    continue;
                }
                Content::Event {
                    event,
                    plan:
                        Plan::Apply {
                            changes: own,
                            handler,
                        },
                    ..
                } => {
                    changes.extend(own);
                    if *handler {
                        // The handler sees every row as of its event.
                        self.write(&std::mem::take(&mut changes))?;
                        self.handle(event)?;
                    }
                    seen_here.extend(identity);
                    endings.push(Ending::Settled(Outcome::Applied));
                    continue;
                }
            };
            seen_here.extend(parked_identity);
            parked_here.extend(key);
            endings.push(Ending::Parked(Outcome::Dead, reason));
        }
        self.write(&changes)?;
        self.known
            .extend(parked_here.into_iter().map(|key| (key, true)));
        self.seen.extend(seen_here);
        Ok(endings)
    }

    fn write(&self, changes: &[&'a Change]) -> Result<(), Failure> {
        for set in fold(changes.iter().copied()) {
            write(self.tx, &set)?;
        }
        Ok(())
    }

    fn handle(&self, event: &Event) -> Result<(), Failure> {
        let Some(handler) = self.options.handlers.get(event.event_type.as_str()) else {
            return Ok(());
        };
        let result = call(handler, event, self.tx, &self.lent);
        if self.tx.is_autocommit() || self.lent.was_ended() {
            return Err(Failure::Whole(Error::new(
                ErrorKind::Misconfigured,
                format!(
                    "the handler of {} ended the transaction that it was lent",
                    event.event_type
                ),
            )));
        }
        Ok(result?)
    }

    fn is_parked(&mut self, key: &Key) -> Result<bool, Error> {
        if let Some(&parked) = self.known.get(key) {
            return Ok(parked);
        }
        if !self.any_parked {
            return Ok(false);
        }
        let parked = dead_letters::holds(self.tx, &self.options.prefix, &key.0, &key.1, &key.2)?;
        self.known.insert(key.clone(), parked);
        Ok(parked)
    }

    fn key(&self, delivery: &Delivery) -> Option<Key> {
        let (tenant, key) = delivery.key()?;
        let source = match &self.lease.feed {
            Feed::Owned(shard) => shard.owner.as_str(),
            Feed::Shared(_) => inbox::source(delivery).unwrap_or(SOURCE_DEFAULT),
        };
        Some((source.into(), tenant.clone(), key.clone()))
    }
}

fn call(
    handler: &dyn Handler,
    event: &Event,
    tx: &rusqlite::Transaction<'_>,
    lent: &Lent,
) -> Result<(), Error> {
    let doing = || format!("the handler of {}", event.event_type);
    match lent.during(|| handler.handle(event, tx)) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(match error.downcast::<rusqlite::Error>() {
            Ok(error) => millstream_sqlite::error::from_rusqlite(*error, doing()),
            Err(error) => Error::with_source(ErrorKind::Invalid, doing(), error),
        }),
        Err(_) => Err(Error::new(
            ErrorKind::Invalid,
            format!("{} panicked", doing()),
        )),
    }
}
