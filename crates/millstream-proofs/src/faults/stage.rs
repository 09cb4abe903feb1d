use std::time::Duration;

use anyhow::Context as _;
use millstream_core::entry::{EntryId, Shard};
use millstream_core::log::Description;
use millstream_testkit::proxy::Proxy;
use millstream_testkit::redis::{FromRedisValue, Value};
use millstream_testkit::server::Server;
use rand::RngExt as _;
use rand::rngs::StdRng;
use tokio::runtime::Runtime;

use crate::faults::fault::Fault;
use crate::faults::tally::Tally;
use crate::play::Play;
use crate::site::level::checkpoints;
use crate::site::{Served, shards};

/// How long the server may take to answer our own questions: it may be loading, or busy with others.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// A play, and the server that it goes through.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) play: Play,
    pub(super) server: Server,
    pub(super) proxy: Proxy,
    pub(super) eyes: Served,
    pub(super) random: StdRng,
    pub(super) tally: Tally,
    pub(super) oom: Duration,
    /// The events of this round: those before it, and those up to its end.
    pub(super) part: (u64, u64),
    pub(super) runtime: Runtime,
}

impl Stage {
    /// Has it happen now.
    pub(super) fn inject(&mut self, fault: Fault) -> anyhow::Result<()> {
        let done = match fault {
            Fault::Kill => self.kill_everything(),
            Fault::Flushall => self.rob_all(&["FLUSHALL"]),
            Fault::Del => self.del(),
            Fault::XdelMiddle => self.xdel_middle(),
            Fault::XdelLast => self.xdel_last(),
            Fault::Foreign => self.foreign(),
            Fault::Rename => self.rename(),
            Fault::Xtrim => self.xtrim(),
            Fault::GroupDestroy => self.group_destroy(),
            Fault::Eviction => self.eviction(),
            Fault::Oom => self.oom(),
            Fault::AofCut => self.aof_cut(),
            Fault::StoppedRelay => self.stopped_relay(),
            Fault::LostReplies => self.lost_replies(),
            Fault::All => unreachable!("it was replaced by what it stands for"),
        };
        done.with_context(|| fault.to_string())?;
        self.tally.count(fault);
        Ok(())
    }

    /// Has the server run a command.
    pub(super) fn ask<T: FromRedisValue>(&self, words: &[&str]) -> anyhow::Result<T> {
        let answer = self.runtime.block_on(self.server.query(words));
        answer.with_context(|| words.first().copied().unwrap_or_default().to_owned())
    }

    /// Has the server run a command whose answer nobody needs.
    pub(super) fn tell(&self, words: &[&str]) -> anyhow::Result<()> {
        self.ask::<Value>(words).map(drop)
    }

    /// One of the shards that hold something, if there is any.
    pub(super) fn some_shard(&mut self) -> anyhow::Result<Option<Shard>> {
        let all = shards()?.into_iter().zip(self.descriptions()?);
        let mut full: Vec<Shard> = all
            .filter(|(_, about)| about.length > 0)
            .map(|(shard, _)| shard)
            .collect();
        if full.is_empty() {
            return Ok(None);
        }
        let index = self.random.random_range(0..full.len());
        Ok(Some(full.swap_remove(index)))
    }

    /// What the shards hold, in their order.
    pub(super) fn descriptions(&mut self) -> anyhow::Result<Vec<Description>> {
        let mut found = None;
        let eyes = &self.eyes;
        self.play
            .until("the server does not answer", ANSWER_MAX, |_| {
                found = eyes.descriptions()?;
                Ok(found.is_some())
            })?;
        found.context("what the watch saw comes first")
    }

    /// What every follower has settled of a shard.
    pub(super) fn settled_by_all(&self, shard: u16) -> anyhow::Result<EntryId> {
        let mut settled = EntryId::new(u64::MAX, 0);
        for (_, db) in self.play.view.followers() {
            let own = checkpoints(db, "consumer")?;
            settled = settled.min(own.get(&shard).copied().unwrap_or_default());
        }
        Ok(settled)
    }

    /// Counts entries that are gone. Who has settled what is asked later than they went, so at least
    /// so many of them were not settled.
    pub(super) fn lost(&mut self, shard: u16, last: EntryId, length: u64) -> anyhow::Result<()> {
        let settled = self.settled_by_all(shard)?;
        self.tally.lost += length;
        self.tally.unsettled += last.low.saturating_sub(settled.low).min(length);
        Ok(())
    }
}
