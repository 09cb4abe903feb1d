//! What a relay does besides sending: listens to followers, compares, announces, prunes.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};

use millstream_core::acknowledgment::{Acknowledgment, Message, Receipt};
use millstream_core::clock::Timestamp;
use millstream_core::descriptor::Bounds;
use millstream_core::entry::{Entry, EntryId};
use millstream_core::error::Error;
use millstream_core::outbox::Registered;

use crate::relay::followers::{Followers, Heard};
use crate::relay::judge::{Fork, next};
use crate::relay::stream::{StreamRelay, both, is_due};

/// How often messages are looked for.
const LISTEN_INTERVAL: Duration = Duration::from_millis(100);

/// Messages taken in at once. Each has some kilobytes at the most.
const LISTEN_MAX: usize = 100;

/// No generation is above: whoever claims to have seen one is not believed.
const GENERATION_MAX: u64 = 1 << 40;

/// How often what followers have settled is written down.
const RECORD_INTERVAL: Duration = Duration::from_millis(500);

/// How often, at most and at least, what nobody needs is removed.
const PRUNE_INTERVAL: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(60);

/// Rows removed in one transaction, and transactions for a shard before others get their turn.
const PRUNE_MAX: usize = 1_000;
const PRUNE_STEPS: usize = 10;

impl StreamRelay {
    /// Takes in what followers say.
    pub(super) async fn listen(&mut self) -> Result<(), Error> {
        while !self.pace.begun {
            self.begin().await?;
        }
        if is_due(self.pace.heard_at, LISTEN_INTERVAL) {
            let owner = self.descriptor.owner.clone();
            let entries = self
                .log
                .acknowledgments(&owner, self.pace.heard, LISTEN_MAX)
                .await?;
            let more = entries.len() == LISTEN_MAX;
            for entry in entries {
                if let Some(said) = self.decode(&entry) {
                    self.hear(&said).await?;
                }
                // Only then: an error in between has it said again.
                self.pace.heard = entry.id;
            }
            self.pace.heard_at = (!more).then(Instant::now);
        }
        if is_due(self.pace.recorded_at, RECORD_INTERVAL) {
            self.record().await?;
        }
        Ok(())
    }

    /// Reads what the database knows of followers, and looks through what they said before: receipts
    /// above the tops tell of a fork, before anything is appended.
    async fn begin(&mut self) -> Result<(), Error> {
        let stream = self.descriptor.stream.clone();
        let rows = self.outbox.subscribers(&stream).await?;
        let pruned = self.outbox.pruned(&stream).await?;
        self.pace.left_behind = self.outbox.left_behind(&self.leases()).await?;
        self.followers = Followers::new(rows, pruned, self.senders.len());
        self.set_floors();
        for sender in &mut self.senders {
            sender.forked = false;
            sender.appended = None;
            self.handle.unfork(&sender.lease.feed);
        }

        let owner = self.descriptor.owner.clone();
        for announced in self.log.publishers(Some(&stream)).await? {
            if announced.owner == owner {
                self.saw(announced.generation);
            }
        }
        let tops = self.tops();
        let mut ahead = Vec::new();
        let mut heard = EntryId::ZERO;
        loop {
            let entries = self.log.acknowledgments(&owner, heard, LISTEN_MAX).await?;
            let Some(last) = entries.last().filter(|last| last.id > heard) else {
                break;
            };
            heard = last.id;
            for said in entries.iter().filter_map(|entry| self.decode(entry)) {
                if self.followers.believes(&said)
                    && let Some((shard, settled)) = Followers::is_ahead(&said, &tops)
                {
                    ahead.push((shard, settled, said.application));
                }
            }
        }
        self.pace.heard = heard;
        self.pace.begun = true;
        for (shard, settled, application) in ahead {
            self.ahead(usize::from(shard), settled, application.to_string())
                .await?;
        }
        Ok(())
    }

    /// A message about this stream; anybody may have written others.
    fn decode(&self, entry: &Entry) -> Option<Acknowledgment> {
        match Acknowledgment::decode(&entry.fields) {
            Ok(said) => (said.stream == self.descriptor.stream).then_some(said),
            Err(error) => {
                warn!(owner = %self.descriptor.owner, entry = %entry.id, %error, "a message is passed over");
                None
            }
        }
    }

    async fn hear(&mut self, said: &Acknowledgment) -> Result<(), Error> {
        let tops = self.tops();
        let owner = self.descriptor.owner.clone();
        if let Message::Receipt(receipt) = &said.message
            && self.followers.believes(said)
            && self.contradicts(receipt).await?
        {
            let fork = Fork::Receipt {
                who: said.application.to_string(),
                at: receipt.settled.at,
            };
            self.senders[usize::from(receipt.shard)].hold().await?;
            return self
                .forked(usize::from(receipt.shard), &fork.to_string())
                .await;
        }
        match self.followers.hear(&owner, said, &tops) {
            Heard::Nothing | Heard::Progress => {}
            Heard::Registration(row) => self.register(row).await?,
            Heard::Rejected(reason) => {
                let (application, database) = (&said.application, &said.database);
                warn!(stream = %self.descriptor.stream, subscriber = %application, %database, %reason, "a message is rejected");
            }
            Heard::Repair(shard) => drop(self.pace.wanted.insert(shard)),
            Heard::Ahead { shard, settled } => {
                let who = said.application.to_string();
                self.ahead(usize::from(shard), settled, who).await?;
            }
        }
        Ok(())
    }

    /// Whether a follower has settled another event than the outbox has there.
    async fn contradicts(&self, receipt: &Receipt) -> Result<bool, Error> {
        let (Some(sender), Some(id)) = (
            self.senders.get(usize::from(receipt.shard)),
            &receipt.settled.event_id,
        ) else {
            return Ok(false);
        };
        let row = self
            .outbox
            .checkpoint_at(&sender.shard, receipt.settled.at)
            .await?;
        let known = row.and_then(|row| row.event_id);
        Ok(known.is_some_and(|known| known != *id))
    }

    async fn register(&mut self, row: Registered) -> Result<(), Error> {
        self.outbox.subscribe(&self.leases(), &row).await?;
        let (application, database) = (&row.application, &row.database);
        info!(stream = %self.descriptor.stream, subscriber = %application, %database, "subscriber registered");
        self.followers.registered(row);
        self.set_floors();
        self.pace.announce = true;
        Ok(())
    }

    async fn ahead(&mut self, shard: usize, settled: EntryId, who: String) -> Result<(), Error> {
        let Some(sender) = self.senders.get(shard) else {
            return Ok(());
        };
        sender.hold().await?;
        let top = sender.lease.checkpoint.at;
        self.saw(settled.high);
        let fork = Fork::Settled { who, settled, top };
        self.forked(shard, &fork.to_string()).await
    }

    /// Somebody knows of this generation: a new one has to be above it.
    fn saw(&mut self, generation: u64) {
        if generation <= GENERATION_MAX {
            self.pace.generation_seen = self.pace.generation_seen.max(generation);
        }
    }

    async fn record(&mut self) -> Result<(), Error> {
        let changed = self.followers.unwritten();
        if !changed.is_empty() {
            self.outbox
                .record_receipts(&self.leases(), &changed)
                .await?;
            self.followers.written();
            self.set_floors();
        }
        self.pace.recorded_at = Some(Instant::now());
        Ok(())
    }

    fn set_floors(&mut self) {
        for (index, sender) in self.senders.iter_mut().enumerate() {
            sender.floor = self.followers.floor(index, sender.lease.checkpoint.at);
        }
    }

    /// Compares all shards with the outbox, idle or not, and announces what there is.
    pub(super) async fn check(&mut self) -> Result<(), Error> {
        self.record().await?;
        let rows = self.outbox.subscribers(&self.descriptor.stream).await?;
        self.followers.retain(&rows);
        self.set_floors();
        let mut first = Ok(());
        for index in 0..self.senders.len() {
            first = both(first, self.check_shard(index).await);
        }
        // Also while something is away: a follower may wait for its registration.
        self.announce().await?;
        first?;
        let interval =
            (self.options.retention / 10).clamp(*PRUNE_INTERVAL.start(), *PRUNE_INTERVAL.end());
        if is_due(self.pace.pruned_at, interval) {
            self.prune().await?;
            self.pace.pruned_at = Some(Instant::now());
        }
        Ok(())
    }

    async fn check_shard(&mut self, index: usize) -> Result<(), Error> {
        self.check_positions(index).await?;
        if !self.senders[index].forked {
            self.look(index).await?;
        }
        Ok(())
    }

    /// A published position above the top tells of a fork, as a receipt does.
    async fn check_positions(&mut self, index: usize) -> Result<(), Error> {
        let sender = &self.senders[index];
        let positions = match self.log.positions(&sender.shard).await {
            Ok(positions) => positions,
            Err(error) => return self.took(index, Err(error)).await,
        };
        let top = sender.lease.checkpoint.at;
        for position in positions {
            let registered = self.followers.database(&position.group);
            if position.at > top && registered.is_none_or(|known| *known == position.database) {
                let who = position.group.to_string();
                self.ahead(index, position.at, who).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn announce(&mut self) -> Result<(), Error> {
        // What was read long ago must not be announced now.
        self.senders[0].hold().await?;
        let shards = self.senders.iter().zip(&self.pace.left_behind).enumerate();
        let bounds = shards.map(|(index, (sender, left))| Bounds {
            floor: sender.floor,
            pruned: self.followers.pruned(index),
            top: sender.lease.checkpoint.clone(),
            left_behind: *left,
        });
        self.descriptor.bounds = bounds.collect();
        self.descriptor.subscribers = self.followers.announced();
        let generations = self
            .senders
            .iter()
            .map(|sender| sender.lease.checkpoint.at.high);
        self.descriptor.generation = generations.max().unwrap_or(1).max(1);
        self.descriptor.count = self.descriptor.count.wrapping_add(1);
        self.log.announce(&self.descriptor).await?;
        self.pace.announce = false;
        Ok(())
    }

    /// Removes what everybody has settled, less the margin, once it is old enough: from the outbox
    /// first, since a stream that lacks what the outbox has counts as damaged.
    async fn prune(&mut self) -> Result<(), Error> {
        let retention = i64::try_from(self.options.retention.as_millis()).unwrap_or(i64::MAX);
        let before = Timestamp::from_millis(self.clock.now().as_millis().saturating_sub(retention));
        for index in 0..self.senders.len() {
            let sender = &self.senders[index];
            let top = sender.lease.checkpoint.at;
            let settled = self.followers.settled_by_all(index).unwrap_or(top);
            let margin = settled.low.saturating_sub(self.options.replay_margin);
            let through = EntryId::new(settled.high, margin);
            let mut pruned = self.followers.pruned(index);
            for _ in 0..PRUNE_STEPS {
                if pruned >= through {
                    break;
                }
                let to = self
                    .outbox
                    .prune(&sender.lease, through, before, PRUNE_MAX)
                    .await?;
                if to <= pruned {
                    break;
                }
                pruned = to;
            }
            if pruned > self.followers.pruned(index) {
                self.followers.set_pruned(index, pruned);
                let removed = self.log.trim(&sender.shard, next(pruned)).await?;
                debug!(shard = %sender.shard, through = %pruned, removed, "pruned");
            }
        }
        self.set_floors();
        Ok(())
    }

    /// The transport is full: gives up what everybody has settled, without margin or retention. The
    /// outbox still has it.
    pub(super) async fn relieve(&mut self) -> Result<(), Error> {
        self.senders[0].hold().await?;
        let mut removed = 0;
        for (index, sender) in self.senders.iter().enumerate() {
            if let Some(settled) = self.followers.settled_by_all(index) {
                removed += self.log.trim(&sender.shard, next(settled)).await?;
            }
        }
        if removed > 0 {
            info!(stream = %self.descriptor.stream, removed, "the transport is full: settled entries removed");
        }
        Ok(())
    }
}
