//! Who may be followed: looks at publishers, registers with them, and tells feeds what they say.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, error};

use millstream_core::acknowledgment::{Acknowledgment, Message, Registration};
use millstream_core::descriptor::Descriptor;
use millstream_core::entry::{EntryId, Shard};
use millstream_core::lease::{Feed, Lease, Role};

use super::{Error, Mark, Running};
use crate::consumer::following::{Announced, Follower, Stance};
use crate::membership::Unit;
use crate::status::State;

/// How often a registration that does not show is asked for again.
const REGISTER_INTERVAL: Duration = Duration::from_secs(1);

/// Of two announcements after a checkpoint was committed, the second was made later than that for
/// certain: it has to know what was settled.
const CHANGES_UNTIL_CERTAIN: u32 = 2;

impl Running {
    /// Finds new publishers, shares the feeds with the other instances, starts and stops tasks.
    pub(super) async fn look(&mut self) -> Result<(), Error> {
        self.describe_again().await?;
        // In this order: what a publisher knows us to have settled must not be newer than our word.
        let descriptors = self.descriptors().await?;
        let checkpoints = self.checkpoints().await?;
        let mut feeds: HashMap<Feed, Announced> = HashMap::new();
        for stream in &self.consumer.options.subscribes {
            feeds.insert(Feed::Shared(stream.clone()), Announced::default());
        }
        for descriptor in &descriptors {
            let followed = self.follow(descriptor, &checkpoints).await?;
            feeds.extend(followed);
        }

        let wanted: Vec<Feed> = feeds.keys().cloned().collect();
        self.consumer
            .store
            .register(Role::Consumer, &wanted)
            .await?;
        for stream in self.consumer.options.parallel.clone() {
            let feed = Feed::Shared(stream.clone());
            if feeds.remove(&feed).is_some() && !self.held.contains_key(&feed) {
                let instance = self.consumer.options.instance.clone();
                let lease = Lease::shared_out(stream, instance);
                self.start(lease, Announced::default()).await?;
            }
        }
        let held = &self.held;
        let change = self
            .member
            .look(
                |rows| {
                    let wanted = rows.into_iter().filter(|row| feeds.contains_key(&row.feed));
                    wanted.map(|row| vec![row]).collect()
                },
                |unit: &Unit| held.contains_key(&unit[0].feed),
            )
            .await?;
        for row in change.release.iter().flatten() {
            if let Some(held) = self.held.get(&row.feed) {
                held.stop.cancel();
            }
        }
        for lease in change.acquired.into_iter().flatten() {
            let announced = feeds.get(&lease.feed).cloned().unwrap_or_default();
            self.start(lease, announced).await?;
        }
        Ok(())
    }

    /// Every publisher but ourselves.
    async fn descriptors(&self) -> Result<Vec<Descriptor>, Error> {
        let mut descriptors = Vec::new();
        for stream in &self.consumer.options.subscribes {
            let publishers = self.consumer.transport.log.publishers(Some(stream)).await?;
            descriptors.extend(publishers);
        }
        descriptors.retain(|descriptor| descriptor.owner != self.consumer.options.application);
        Ok(descriptors)
    }

    async fn checkpoints(&self) -> Result<HashMap<Shard, EntryId>, Error> {
        let rows = self.consumer.store.leases(Role::Consumer).await?;
        let owned = |row: millstream_core::lease::LeaseRow| match row.feed {
            Feed::Owned(shard) => Some((shard, row.checkpoint.at)),
            Feed::Shared(_) => None,
        };
        Ok(rows.into_iter().filter_map(owned).collect())
    }

    /// The feeds of a publisher that may be read; asks for what has to come before.
    async fn follow(
        &mut self,
        descriptor: &Descriptor,
        checkpoints: &HashMap<Shard, EntryId>,
    ) -> Result<Vec<(Feed, Announced)>, Error> {
        let options = &self.consumer.options;
        let follower = Follower {
            application: &options.application,
            database: &self.database,
            checkpoints,
            take_over: options.take_over,
            from_oldest: options.from_oldest,
        };
        match follower.stance(descriptor) {
            Stance::Follow(announced) => {
                let feeds = descriptor.shards().map(Feed::Owned).zip(announced);
                let feeds: Vec<_> = feeds.collect();
                for (feed, announced) in &feeds {
                    self.tell(feed, announced, descriptor.count);
                }
                Ok(feeds)
            }
            Stance::Register {
                reason,
                checkpoints,
            } => {
                if reason == Registration::Rewound {
                    for shard in descriptor.shards() {
                        if let Some(held) = self.held.get(&Feed::Owned(shard)) {
                            held.stop.cancel();
                        }
                    }
                }
                self.register(descriptor, reason, checkpoints).await?;
                Ok(Vec::new())
            }
            Stance::Held(held_by) => Err(Error::GroupHeld {
                group: options.application.clone(),
                held_by,
                database: self.database.clone(),
            }),
            Stance::Late { .. } if self.follows_somebody() => {
                // What runs goes on; the next start refuses.
                let (stream, publisher) = (&descriptor.stream, &descriptor.owner);
                error!(%stream, %publisher, "not followed: its beginning is gone");
                Ok(Vec::new())
            }
            Stance::Late { base, shard } => Err(Error::Late {
                publisher: descriptor.owner.clone(),
                stream: descriptor.stream.clone(),
                shard,
                base,
            }),
        }
    }

    fn follows_somebody(&self) -> bool {
        self.held.keys().any(|feed| matches!(feed, Feed::Owned(_)))
    }

    /// Asks to be registered, now and then, until it shows.
    async fn register(
        &mut self,
        descriptor: &Descriptor,
        reason: Registration,
        checkpoints: Vec<EntryId>,
    ) -> Result<(), Error> {
        let to = (descriptor.stream.clone(), descriptor.owner.clone());
        let asked = self.asked.get(&to);
        if asked.is_some_and(|asked| asked.elapsed() < REGISTER_INTERVAL) {
            return Ok(());
        }
        let (stream, owner) = &to;
        debug!(%stream, %owner, ?reason, "asking to be registered");
        let registration = Acknowledgment {
            application: self.consumer.options.application.clone(),
            database: self.database.clone(),
            stream: stream.clone(),
            message: Message::Register {
                reason,
                checkpoints,
            },
        };
        let log = &self.consumer.transport.log;
        log.acknowledge(owner, &registration.encode()).await?;
        self.asked.insert(to, Instant::now());
        Ok(())
    }

    /// Tells a feed's task what its publisher says, and compares that with where the feed was some
    /// announcements ago.
    fn tell(&mut self, feed: &Feed, announced: &Announced, count: u64) {
        let Some(held) = self.held.get_mut(feed) else {
            return;
        };
        held.announced.send_if_modified(|known| {
            let news = known != announced;
            known.clone_from(announced);
            news
        });
        let mark = &mut held.mark;
        if mark.count == count {
            return;
        }
        mark.count = count;
        mark.changes += 1;
        if mark.changes < CHANGES_UNTIL_CERTAIN {
            return;
        }
        let handle = &self.consumer.handle;
        let (was, top) = (mark.at, announced.bounds.top.at);
        *mark = Mark {
            at: handle.status().feeds.get(feed).map_or(was, |feed| feed.at),
            count,
            changes: 0,
        };
        if top != EntryId::ZERO && top < was {
            let reason = format!(
                "{was} was settled here, and the publisher is at {top} only: its database was restored"
            );
            if handle.set_state(feed, State::Forked(reason.clone())) {
                error!(%feed, %reason, "forked");
            }
        }
    }
}
