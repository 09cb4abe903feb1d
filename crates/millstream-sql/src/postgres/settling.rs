//! A batch on its way through the transaction.

use std::collections::HashSet;

use deadpool_postgres::Transaction;

use millstream_core::change::Change;
use millstream_core::delivery::{Content, Delivery, Outcome, Plan, Reason};
use millstream_core::error::{Error, ErrorKind};
use millstream_core::event::Event;
use millstream_core::fold::fold;
use millstream_core::lease::Lease;

use crate::batch::{Dedupe, Ending, Item, Key, Seen};
use crate::postgres::apply::Failure;
use crate::postgres::database::{Database, while_doing};
use crate::postgres::dead_letters;
use crate::postgres::handler::{Lent, lend};
use crate::postgres::write::{misfitting, write};

pub(super) struct Settling<'a> {
    db: &'a Database,
    tx: &'a Transaction<'a>,
    lease: &'a Lease,
    dedupe: Dedupe<'a>,
    /// Whether anything was parked in this database before: mostly not.
    pub(super) any_parked: bool,
    /// Keys of which an event is parked.
    parked: HashSet<Key>,
    /// Events of this batch that are repeats if they come again.
    seen: Seen<'a>,
    /// How the deliveries so far ended.
    pub(super) endings: Vec<Ending>,
}

impl<'a> Settling<'a> {
    pub(super) async fn begin(
        db: &'a Database,
        tx: &'a Transaction<'a>,
        lease: &'a Lease,
        dedupe: Dedupe<'a>,
        // What is tried again is itself what others wait behind.
        behind_parked: bool,
        items: &[Item<'a>],
    ) -> Result<Self, Error> {
        let prefix = &db.options.prefix;
        let mut settling = Self {
            db,
            tx,
            lease,
            dedupe,
            any_parked: behind_parked && dead_letters::any(tx, prefix).await?,
            parked: HashSet::new(),
            seen: Seen::new(),
            endings: Vec::new(),
        };
        if settling.any_parked {
            let keys = items.iter().filter_map(|item| settling.key(item.delivery));
            settling.parked = dead_letters::held(tx, prefix, keys.collect()).await?;
        }
        Ok(settling)
    }

    /// Settles everything at once. Where an event fails, the transaction is of no use any more.
    pub(super) async fn settle_all(&mut self, items: &[Item<'a>]) -> Result<(), Failure> {
        self.endings = self.try_range(items).await?;
        Ok(())
    }

    /// Settles a range under a savepoint; where an event fails, each half under its own.
    ///
    /// The left half goes first, so that the right one knows what was parked.
    pub(super) async fn settle_apart(&mut self, items: &[Item<'a>]) -> Result<(), Error> {
        let failed = while_doing("set a savepoint");
        let mut ranges = vec![items];
        while let Some(range) = ranges.pop() {
            self.execute("SAVEPOINT millstream_range")
                .await
                .map_err(failed)?;
            let error = match self.try_range(range).await {
                Ok(mut endings) => {
                    self.execute("RELEASE millstream_range")
                        .await
                        .map_err(failed)?;
                    self.endings.append(&mut endings);
                    continue;
                }
                Err(Failure::Whole(error) | Failure::Commit(error)) => return Err(error),
                Err(Failure::Event(error)) => error,
            };
            self.execute("ROLLBACK TO millstream_range; RELEASE millstream_range")
                .await
                .map_err(failed)?;
            match range {
                [item] => {
                    let error = self.explain(item.delivery, error).await?;
                    self.park(item.delivery, &error);
                }
                _ => {
                    let (left, right) = range.split_at(range.len() / 2);
                    ranges.extend([right, left]);
                }
            }
        }
        Ok(())
    }

    async fn execute(&self, sql: &str) -> Result<(), tokio_postgres::Error> {
        self.tx.batch_execute(sql).await
    }

    /// Names the column, where a value does not fit: the server does not.
    async fn explain(&self, delivery: &Delivery, error: Error) -> Result<Error, Error> {
        let changes: &[Change] = match &delivery.content {
            Content::Event {
                plan: Plan::Apply { changes, .. },
                ..
            } if error.kind() == ErrorKind::Invalid => changes,
            _ => return Ok(error),
        };
        let misfit = misfitting(self.db, self.tx, changes).await?;
        Ok(misfit.unwrap_or(error))
    }

    /// Parks an event for this reason.
    pub(super) fn park(&mut self, delivery: &'a Delivery, error: &Error) {
        if self.dedupe.counts_parked() {
            let identity = self.dedupe.identity(delivery);
            self.seen.extend(identity.map(|identity| (identity, None)));
        }
        self.parked.extend(self.key(delivery));
        self.endings.push(Ending::failed(error));
    }

    /// Settles a range as a whole, and says how each delivery ends if it holds.
    ///
    /// Changes rows, but nothing in `self` that would be wrong after a rollback.
    async fn try_range(&mut self, range: &[Item<'a>]) -> Result<Vec<Ending>, Failure> {
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
                && (parked_here.contains(key) || self.parked.contains(key))
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
                        self.write(&std::mem::take(&mut changes)).await?;
                        self.handle(event).await?;
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
        self.write(&changes).await?;
        self.parked.extend(parked_here);
        self.seen.extend(seen_here);
        Ok(endings)
    }

    async fn write(&self, changes: &[&'a Change]) -> Result<(), Failure> {
        for set in fold(changes.iter().copied()) {
            write(self.db, self.tx, &set).await?;
        }
        Ok(())
    }

    async fn handle(&self, event: &Event) -> Result<(), Failure> {
        let handlers = &self.db.options.handlers;
        let Some(handler) = handlers.get(event.event_type.as_str()) else {
            return Ok(());
        };
        match lend(handler, event, self.tx)
            .await
            .map_err(Failure::Whole)?
        {
            Lent::Open(result) => Ok(result?),
            Lent::Ended => Err(Failure::Whole(Error::new(
                ErrorKind::Misconfigured,
                format!(
                    "the handler of {} ended the transaction that it was lent",
                    event.event_type
                ),
            ))),
        }
    }

    fn key(&self, delivery: &Delivery) -> Option<Key> {
        let (tenant, key) = delivery.key()?;
        let source = dead_letters::source_of(&self.lease.feed, delivery);
        Some((source.into(), tenant.clone(), key.clone()))
    }
}
