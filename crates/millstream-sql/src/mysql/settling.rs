//! A batch on its way through the transaction.

use std::collections::HashSet;

use millstream_core::change::Change;
use millstream_core::delivery::{Content, Delivery, Outcome, Plan, Reason};
use millstream_core::error::Error;
use millstream_core::event::Event;
use millstream_core::fold::fold;
use millstream_core::lease::Feed;
use millstream_core::wire::SOURCE_DEFAULT;

use crate::batch::{Dedupe, Ending, Item, Key, Seen, set_aside};
use crate::mysql::database::Database;
use crate::mysql::dead_letters;
use crate::mysql::handler::call;
use crate::mysql::inbox;
use crate::mysql::session::Session;
use crate::mysql::write::write;

/// Whose error it is.
pub(super) enum Failure {
    /// One event's; the others can be settled without it.
    Event(Error),
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

/// What is known in the middle of a transaction.
pub(super) struct Settling<'s, 'a> {
    session: &'s mut Session,
    db: &'a Database,
    feed: &'a Feed,
    dedupe: Dedupe<'a>,
    /// Whether anything is parked in this database: mostly not, and then nothing need be looked up.
    any_parked: bool,
    /// Keys of the batch that an event is parked of.
    parked: HashSet<Key>,
    /// Events of this batch that are repeats if they come again.
    seen: Seen<'a>,
    /// How the deliveries so far ended.
    endings: Vec<Ending>,
}

impl<'s, 'a> Settling<'s, 'a> {
    pub(super) async fn begin(
        session: &'s mut Session,
        db: &'a Database,
        feed: &'a Feed,
        dedupe: Dedupe<'a>,
        // What is tried again is itself what others wait behind.
        behind_parked: bool,
        items: &[Item<'a>],
    ) -> Result<Self, Error> {
        let any_parked = behind_parked && dead_letters::any(session, &db.options.prefix).await?;
        let parked = if any_parked {
            let keys: Vec<Key> = items
                .iter()
                .filter_map(|item| key(feed, item.delivery))
                .collect();
            dead_letters::held(session, &db.options.prefix, keys.iter()).await?
        } else {
            HashSet::new()
        };
        Ok(Self {
            session,
            db,
            feed,
            dedupe,
            any_parked,
            parked,
            seen: Seen::new(),
            endings: Vec::new(),
        })
    }

    /// Whether anything was parked before, and how each delivery ended.
    pub(super) fn end(self) -> (bool, Vec<Ending>) {
        (self.any_parked, self.endings)
    }

    /// Settles everything without a savepoint.
    pub(super) async fn settle_at_once(&mut self, items: &[Item<'a>]) -> Result<(), Failure> {
        self.endings = self.try_range(items).await?;
        Ok(())
    }

    /// Settles a range under a savepoint; where an event fails, each half under its own.
    ///
    /// The left half goes first, so that the right one knows what was parked.
    pub(super) async fn settle(&mut self, range: &[Item<'a>]) -> Result<(), Error> {
        let doing = "set a savepoint";
        let mut waiting = vec![range];
        while let Some(range) = waiting.pop() {
            self.session
                .plain(doing, "SAVEPOINT millstream_range")
                .await?;
            match self.try_range(range).await {
                Ok(mut endings) => self.endings.append(&mut endings),
                Err(Failure::Whole(error)) => return Err(error),
                Err(Failure::Event(error)) => {
                    self.session
                        .plain(doing, "ROLLBACK TO SAVEPOINT millstream_range")
                        .await?;
                    match range {
                        [item] => self.park(item.delivery, &error),
                        _ => {
                            let (left, right) = range.split_at(range.len() / 2);
                            waiting.extend([right, left]);
                        }
                    }
                }
            }
            self.session
                .plain(doing, "RELEASE SAVEPOINT millstream_range")
                .await?;
        }
        Ok(())
    }

    /// Sets everything aside for this reason, without trying it.
    pub(super) fn set_aside(&mut self, items: &[Item<'a>], reason: &Reason) {
        self.endings = set_aside(self.dedupe, items, reason);
    }

    fn park(&mut self, delivery: &'a Delivery, error: &Error) {
        if self.dedupe.counts_parked() {
            let identity = self.dedupe.identity(delivery);
            self.seen.extend(identity.map(|identity| (identity, None)));
        }
        self.parked.extend(key(self.feed, delivery));
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
            let key = key(self.feed, delivery);
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

    async fn write(&mut self, changes: &[&'a Change]) -> Result<(), Failure> {
        for set in fold(changes.iter().copied()) {
            let fits = self.db.fits(set.shape)?;
            write(self.session, fits.as_deref(), &set).await?;
        }
        Ok(())
    }

    async fn handle(&mut self, event: &Event) -> Result<(), Failure> {
        let Some(handler) = self.db.options.handlers.get(event.event_type.as_str()) else {
            return Ok(());
        };
        Ok(call(handler, event, self.session.conn()).await?)
    }
}

fn key(feed: &Feed, delivery: &Delivery) -> Option<Key> {
    let (tenant, key) = delivery.key()?;
    let source = match feed {
        Feed::Owned(shard) => shard.owner.as_str(),
        Feed::Shared(_) => inbox::source(delivery).unwrap_or(SOURCE_DEFAULT),
    };
    Some((source.into(), tenant.clone(), key.clone()))
}
