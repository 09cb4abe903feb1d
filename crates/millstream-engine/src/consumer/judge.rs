use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::sync::Notify;
use tracing::error;

use millstream_core::clock::Clock;
use millstream_core::delivery::{Content, Delivery, Plan, Reason, Undecodable};
use millstream_core::entry::{Entry, EntryId};
use millstream_core::error::{Error, ErrorKind};
use millstream_core::lease::{Checkpoint, Feed, Lease};
use millstream_core::mapping::Router;
use millstream_core::name::{AppName, EventId};
use millstream_core::store::{Applied, Batch, Store, Table};
use millstream_core::wire;

/// The application's tables that mappings write to.
pub(super) type Tables = HashMap<Arc<str>, Table>;

/// Decides what is to be done about each entry. Pure but for the clock.
#[derive(Debug)]
pub(super) struct Judge {
    pub(super) application: AppName,
    pub(super) router: Router,
    /// What the tables looked like that changes are planned for.
    pub(super) tables: Tables,
    /// Told when one is found to look otherwise.
    pub(super) outdated: Notify,
    /// The event types that code handles.
    pub(super) handled: HashSet<String>,
    pub(super) clock: Arc<dyn Clock>,
}

/// An entry that has been judged.
#[derive(Debug)]
pub(super) struct Judged {
    /// The checkpoint once it is settled.
    pub(super) at: Checkpoint,
    /// The event that its publisher says came before it.
    pub(super) prev: Option<EventId>,
    /// What is to be settled; none for an entry that is for others.
    pub(super) delivery: Option<Delivery>,
}

impl Judge {
    /// A panic in here would come again with every read: the entry is parked, for a person to look
    /// at, like one that cannot be decoded.
    pub(super) fn judge(&self, feed: &Feed, entry: Entry) -> Judged {
        let kept = entry.clone();
        catch_unwind(AssertUnwindSafe(|| self.decide(feed, entry))).unwrap_or_else(|_| {
            error!(%feed, entry = %kept.id, "decoding or mapping an entry panicked");
            let undecodable = Undecodable {
                reason: Reason::new("decoding or mapping it panicked: this is a bug"),
                id: read_id(&kept, wire::field::EVENT_ID),
                event_type: None,
                tenant: None,
                key: None,
                source: None,
            };
            Judged {
                at: Checkpoint {
                    at: kept.id,
                    event_id: undecodable.id.clone(),
                },
                prev: None,
                delivery: Some(self.delivery(kept, Content::Undecodable(Box::new(undecodable)))),
            }
        })
    }

    fn decide(&self, feed: &Feed, entry: Entry) -> Judged {
        if matches!(feed, Feed::Owned(_)) && !wire::is_for(&entry, &self.application) {
            return passed_over(&entry);
        }
        match wire::decode(feed, &entry) {
            // What happened here is here already.
            Ok(decoded)
                if !decoded.event.target.include(&self.application)
                    || decoded.event.source == self.application =>
            {
                passed_over(&entry)
            }
            Ok(decoded) => {
                let plan = self.router.plan(
                    &decoded,
                    self.handled.contains(decoded.event.event_type.as_str()),
                );
                Judged {
                    at: Checkpoint {
                        at: entry.id,
                        event_id: Some(decoded.event.id.clone()),
                    },
                    prev: decoded.sequence.prev,
                    delivery: Some(self.delivery(
                        entry,
                        Content::Event {
                            event: Box::new(decoded.event),
                            partition_key: decoded.sequence.partition_key,
                            plan,
                        },
                    )),
                }
            }
            Err(undecodable) => Judged {
                at: Checkpoint {
                    at: entry.id,
                    event_id: undecodable.id.clone(),
                },
                prev: None,
                delivery: Some(self.delivery(entry, Content::Undecodable(Box::new(undecodable)))),
            },
        }
    }

    /// Has the store apply a batch. An event that fits no table as it was described may fit it as it is by
    /// now: nothing is applied then. The tables are described again after that, and after whatever else
    /// may be because one was altered.
    pub(super) async fn apply(
        &self,
        store: &dyn Store,
        lease: &Lease,
        batch: &Batch,
    ) -> Result<Applied, Error> {
        let applied = async {
            if batch.deliveries.iter().any(is_invalid) {
                self.compare(store).await?;
            }
            store.apply(lease, batch).await
        };
        let applied = applied.await;
        if let Err(error) = &applied
            && matches!(error.kind(), ErrorKind::Outdated | ErrorKind::Misconfigured)
        {
            self.outdated.notify_one();
        }
        applied
    }

    /// Whether the tables look as they did.
    async fn compare(&self, store: &dyn Store) -> Result<(), Error> {
        let names: Vec<_> = self.tables.keys().cloned().collect();
        for (name, found) in names.iter().zip(store.tables(&names).await?) {
            if found.as_ref() != self.tables.get(name) {
                let text = format!("table {name} was altered, and is to be described again");
                return Err(Error::new(ErrorKind::Outdated, text));
            }
        }
        Ok(())
    }

    fn delivery(&self, entry: Entry, content: Content) -> Delivery {
        Delivery::new(entry, self.clock.now(), content)
    }
}

/// Whether an event is dead by its plan alone.
fn is_invalid(delivery: &Delivery) -> bool {
    let Content::Event { plan, .. } = &delivery.content else {
        return false;
    };
    matches!(plan, Plan::Invalid(_))
}

fn passed_over(entry: &Entry) -> Judged {
    Judged {
        at: Checkpoint {
            at: entry.id,
            event_id: read_id(entry, wire::field::EVENT_ID),
        },
        prev: read_id(entry, wire::field::PREV),
        delivery: None,
    }
}

fn read_id(entry: &Entry, field: &str) -> Option<EventId> {
    let text = std::str::from_utf8(entry.fields.get(field)?).ok()?;
    EventId::new(text).ok()
}

/// Why an entry cannot be what comes next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Break {
    #[error("entries between {after} and {found} are missing")]
    Gap { after: EntryId, found: EntryId },
    #[error(
        "entry {found} does not follow the event that was settled at {after}: the stream forked"
    )]
    Fork { after: EntryId, found: EntryId },
    #[error("entry {found} is of a generation that is not announced yet")]
    Unannounced { found: EntryId },
    #[error("entry {found} is not the owner's: somebody else writes to this stream")]
    Foreign { found: EntryId },
}

/// Checks that an entry of an owned stream is the one after `last`, in the generation of `last` or the
/// `generation` that is announced, which begins with what older ones held above `left_behind`.
pub(super) fn follows(
    last: &Checkpoint,
    next: &Judged,
    generation: u64,
    left_behind: EntryId,
) -> Result<(), Break> {
    let (after, found) = (last.at, next.at.at);
    let first = last.at == EntryId::ZERO;
    if found.high > generation.max(after.high) {
        return Err(Break::Unannounced { found });
    }
    if found.high > after.high && !first {
        return if found.low == 1 && after >= left_behind {
            Ok(())
        } else {
            Err(Break::Gap { after, found })
        };
    }
    if found.low != after.low + 1 || !(first || found.high == after.high) {
        return Err(Break::Gap { after, found });
    }
    match (&last.event_id, &next.prev) {
        (Some(last), Some(prev)) if last != prev => Err(Break::Fork { after, found }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(id: EntryId, event: &str) -> Checkpoint {
        Checkpoint {
            at: id,
            event_id: EventId::new(event).ok(),
        }
    }

    fn judged(high: u64, low: u64, prev: &str) -> Judged {
        Judged {
            at: checkpoint(EntryId::new(high, low), "x"),
            prev: EventId::new(prev).ok(),
            delivery: None,
        }
    }

    #[test]
    fn only_the_next_entry_behind_the_same_event_follows() {
        let start = Checkpoint::default();
        let follows = |last: &Checkpoint, next: &Judged, generation| {
            super::follows(last, next, generation, EntryId::ZERO)
        };
        assert_eq!(follows(&start, &judged(1, 1, ""), 1), Ok(()));
        assert_eq!(follows(&start, &judged(2, 1, ""), 2), Ok(()));
        assert!(matches!(
            follows(&start, &judged(2, 1, ""), 1),
            Err(Break::Unannounced { .. })
        ));
        let gap = |last: &Checkpoint, high, low, generation| {
            let found = follows(last, &judged(high, low, "a"), generation);
            matches!(found, Err(Break::Gap { .. }))
        };
        assert!(gap(&start, 1, 2, 1));

        let last = checkpoint(EntryId::new(1, 7), "a");
        assert_eq!(follows(&last, &judged(1, 8, "a"), 1), Ok(()));
        assert!(gap(&last, 1, 9, 1));
        assert!(matches!(
            follows(&last, &judged(1, 8, "b"), 1),
            Err(Break::Fork { .. })
        ));
    }

    #[test]
    fn a_new_generation_begins_with_its_first_entry_once_it_is_announced() {
        let last = checkpoint(EntryId::new(1, 7), "a");
        let follows = |last: &Checkpoint, next: &Judged, generation| {
            super::follows(last, next, generation, EntryId::new(1, 7))
        };
        assert_eq!(follows(&last, &judged(2, 1, ""), 2), Ok(()));
        // Restored to before what the generation left out.
        let restored = checkpoint(EntryId::new(1, 6), "z");
        assert!(matches!(
            follows(&restored, &judged(2, 1, ""), 2),
            Err(Break::Gap { .. })
        ));
        assert!(matches!(
            follows(&last, &judged(2, 2, ""), 2),
            Err(Break::Gap { .. })
        ));
        assert!(matches!(
            follows(&last, &judged(2, 1, ""), 1),
            Err(Break::Unannounced { .. })
        ));
    }
}
