//! What happens to processes, and to what they say to each other.

use std::time::Duration;

use anyhow::Context as _;
use rand::RngExt as _;

use crate::faults::stage::Stage;
use crate::fleet::RELAYS;

/// How long something may take that leases decide about.
const TAKE_OVER_MAX: Duration = Duration::from_secs(20);

/// Replies that get lost at once, at most.
const REPLIES_MAX: u64 = 6;

/// What is in every request that appends, and in no other.
const APPENDS: &str = "entityVersion";

/// How long it may take until somebody asks something, and gets no answer.
const ASKED_MAX: Duration = Duration::from_secs(10);

impl Stage {
    /// Power is gone, for everybody; what was written to files is there.
    pub(super) fn kill_everything(&mut self) -> anyhow::Result<()> {
        let server_first = self.random.random();
        if server_first {
            self.server.kill()?;
        }
        self.play.fleet.kill_all()?;
        self.server.kill()?;
        self.runtime.block_on(self.server.start())?;
        self.play.fleet.start_missing()
    }

    /// The server's power is gone, and with it what the kernel had not written yet.
    pub(super) fn aof_cut(&mut self) -> anyhow::Result<()> {
        let before = self.descriptions()?;
        self.server.kill()?;
        let length = self.server.aof_length()?;
        let cut = self.random.random_range(0..=length);
        self.server.cut_aof(cut)?;
        self.runtime.block_on(self.server.start())?;
        // Until somebody has repaired something already.
        let after = self.descriptions()?;
        for (shard, (before, after)) in (0..).zip(before.iter().zip(after)) {
            let gone = before.last.low.saturating_sub(after.last.low);
            self.lost(shard, before.last, gone.min(before.length))?;
        }
        Ok(())
    }

    /// The relay that works stands still for longer than its lease, and wakes up when another has
    /// done its work.
    pub(super) fn stopped_relay(&mut self) -> anyhow::Result<()> {
        let before = RELAYS.map(|relay| self.play.fleet.done(relay));
        let moved = |play: &crate::play::Play| {
            let now = RELAYS.iter().zip(before);
            now.into_iter()
                .find(|(relay, before)| play.fleet.done(**relay) > *before)
                .map(|(relay, _)| *relay)
        };
        let none = "no relay works";
        self.play
            .until(none, TAKE_OVER_MAX, |play| Ok(moved(play).is_some()))?;
        let stopped = moved(&self.play).context(none)?;
        let others = RELAYS.iter().find(|relay| **relay != stopped);
        let successor = *others.context("there are two")?;

        self.play.fleet.freeze(stopped)?;
        let before = self.play.fleet.done(successor);
        let took_over = self
            .play
            .until("no successor works", TAKE_OVER_MAX, |play| {
                Ok(play.fleet.done(successor) > before)
            });
        self.play.fleet.thaw(stopped)?;
        took_over
    }

    /// Commands run, and nobody hears of it.
    pub(super) fn lost_replies(&mut self) -> anyhow::Result<()> {
        let before = self.proxy.counts().replies_dropped;
        let count = self.random.random_range(1..=REPLIES_MAX);
        for _ in 0..count {
            self.proxy.drop_reply_to(APPENDS);
        }
        self.proxy.drop_replies(count);
        let lost = self.proxy.counted(|counts| counts.replies_dropped > before + count);
        let lost = self
            .runtime
            .block_on(async { tokio::time::timeout(ASKED_MAX, lost).await });
        self.proxy.drop_nothing();
        lost.context("no replies to lose")?.map(drop)
    }
}
