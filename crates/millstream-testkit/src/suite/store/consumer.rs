use std::collections::{HashMap, HashSet};

use millstream_core::clock::Timestamp;
use millstream_core::delivery::{Content, Delivery, Outcome};
use millstream_core::entry::Entry;
use millstream_core::error::{Error, ErrorKind};
use millstream_core::lease::{Checkpoint, Feed, Lease, Role};
use millstream_core::mapping::{Router, Spec, compile, table_names};
use millstream_core::store::{Again, Applied, Batch, DeadLetter, Store};
use millstream_core::wire;

use crate::sample::instance;

/// What entries are read at, and applied at.
const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// How often a batch is tried again.
const FAILURES_MAX: u32 = 1_000;

/// The consumer of one feed, without the engine around it.
#[derive(Debug)]
pub struct Consumer<H> {
    /// The database that it writes to.
    pub store: H,
    /// Its right to do so.
    pub lease: Lease,
    /// How far it is.
    pub at: Checkpoint,
    router: Router,
}

impl<H: Store> Consumer<H> {
    /// Takes the feed from whoever has it, and goes on where that stopped.
    pub async fn start(store: H, feed: Feed, specs: Vec<Spec>) -> Self {
        let started = Self::try_start(store, feed, specs).await;
        started.unwrap_or_else(|(_, error)| panic!("the consumer starts: {error}"))
    }

    /// The same of a process that may die over it; the store comes back then.
    pub async fn try_start(store: H, feed: Feed, specs: Vec<Spec>) -> Result<Self, (H, Error)> {
        match Self::lease(&store, feed, &specs).await {
            Ok((lease, router)) => Ok(Self {
                store,
                at: lease.checkpoint.clone(),
                lease,
                router,
            }),
            Err(error) => Err((store, error)),
        }
    }

    async fn lease(store: &H, feed: Feed, specs: &[Spec]) -> Result<(Lease, Router), Error> {
        let names = table_names(specs);
        let tables = store.tables(&names).await?;
        let tables: HashMap<_, _> = names
            .into_iter()
            .zip(tables)
            .filter_map(|(name, table)| Some((name, table?)))
            .collect();
        let router = compile(specs, &tables).unwrap_or_else(|problems| panic!("{problems:?}"));

        let (own, role) = (std::slice::from_ref(&feed), Role::Consumer);
        store.register(role, own).await?;
        let mut rows = store.leases(role).await?;
        rows.retain(|row| row.feed == feed);
        let taken = store.acquire(&instance("consumer"), role, &rows).await?;
        Ok((taken.expect("nobody was faster").remove(0), router))
    }

    /// The batch of these entries, from where it is.
    pub fn batch(&self, entries: &[Entry]) -> Batch {
        let deliveries: Vec<_> = entries.iter().map(|entry| self.delivery(entry)).collect();
        let last = deliveries.iter().max_by_key(|delivery| delivery.entry);
        let to = last.map_or_else(
            || self.at.clone(),
            |last| Checkpoint {
                at: last.entry,
                event_id: last.event_id().cloned(),
            },
        );
        Batch {
            from: self.at.clone(),
            to: if to.at < self.at.at {
                self.at.clone()
            } else {
                to
            },
            deliveries: deliveries.into(),
            applied_at: NOW,
            again: None,
            set_aside: None,
        }
    }

    fn delivery(&self, entry: &Entry) -> Delivery {
        let content = match wire::decode(&self.lease.feed, entry) {
            Ok(decoded) => {
                let event_type = decoded.event.event_type.as_str();
                let handled = self.store.handled().iter().any(|own| own == event_type);
                let plan = self.router.plan(&decoded, handled);
                Content::Event {
                    event: Box::new(decoded.event),
                    partition_key: decoded.sequence.partition_key,
                    plan,
                }
            }
            Err(undecodable) => Content::Undecodable(Box::new(undecodable)),
        };
        Delivery::new(entry.clone(), NOW, content)
    }

    /// Applies entries, and moves on if that succeeds.
    pub async fn apply(&mut self, entries: &[Entry]) -> Result<Applied, Error> {
        let batch = self.batch(entries);
        let applied = self.apply_batch(&batch).await?;
        self.at = batch.to;
        Ok(applied)
    }

    /// Applies entries however often the database is away meanwhile, and says how often it was.
    ///
    /// As the engine does it: whether a commit got through that nobody answered is looked up.
    pub async fn insist(&mut self, entries: &[Entry]) -> u32 {
        let batch = self.batch(entries);
        let mut failures = 0;
        while failures < FAILURES_MAX {
            let error = match self.apply_batch(&batch).await {
                Ok(_) => break,
                Err(error) => error,
            };
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
            failures += 1;
            match self.store.checkpoint(&self.lease).await {
                Ok(Some(at)) if at == batch.to => break,
                Ok(Some(at)) => assert_eq!(at, batch.from, "all of a batch, or nothing"),
                Ok(None) => panic!("nobody else took the feed"),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
            }
        }
        assert!(failures < FAILURES_MAX, "it never gets through");
        self.at = batch.to;
        failures
    }

    /// Applies a batch, and stays where it is.
    pub async fn apply_batch(&self, batch: &Batch) -> Result<Applied, Error> {
        self.store.apply(&self.lease, batch).await
    }

    /// Tries again what is parked, at most `limit` events in one transaction, all that there is. What was
    /// parked before `dead_before` is dead if it conflicts after enough tries.
    pub async fn try_again(&self, limit: usize, dead_before: Timestamp) -> Result<Applied, Error> {
        let feed = &self.lease.feed;
        let mut all = Applied::default();
        let mut after = 0;
        loop {
            let letters = self.store.waiting(feed, after, limit).await?;
            let mut keys = HashSet::new();
            let firsts = letters
                .iter()
                .filter(|letter| keys.insert((&letter.tenant, &letter.key)));
            // Of the last key there may be more.
            let last = match letters.len() < limit {
                true => letters.last(),
                false => firsts.last(),
            };
            let Some(last) = last else { return Ok(all) };
            after = last.number;
            all.add(&self.apply_batch(&self.again(letters, dead_before)).await?);
        }
    }

    /// The batch that tries letters again.
    pub fn again(&self, letters: Vec<DeadLetter>, dead_before: Timestamp) -> Batch {
        let (numbers, deliveries): (Vec<_>, Vec<_>) = letters
            .into_iter()
            .map(|letter| {
                let (id, fields) = (letter.entry, letter.raw);
                (letter.number, self.delivery(&Entry { id, fields }))
            })
            .unzip();
        Batch {
            from: self.at.clone(),
            to: self.at.clone(),
            deliveries: deliveries.into(),
            applied_at: NOW,
            set_aside: None,
            again: Some(Again {
                numbers: numbers.into(),
                dead_before,
            }),
        }
    }

    /// Tries everything again, and says what is not as it was: `2 applied, 1 dead`.
    pub async fn settle_again(&self) -> String {
        let again = self.try_again(usize::MAX, Timestamp::from_millis(0)).await;
        shown(&again.expect("it is tried"))
    }

    /// Applies entries, and says how they ended: `3 applied, 1 dead`.
    pub async fn settle(&mut self, entries: &[Entry]) -> String {
        shown(&self.apply(entries).await.expect("the batch is applied"))
    }
}

/// How deliveries ended: `3 applied, 1 dead`.
pub fn shown(applied: &Applied) -> String {
    let mut parts: Vec<String> = Outcome::ALL
        .into_iter()
        .map(|outcome| (applied.counts.get(outcome), outcome.as_str()))
        .chain([(applied.repeated, "repeated")])
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    if parts.is_empty() {
        parts.push("nothing".into());
    }
    parts.join(", ")
}
