//! What happens to processes, and to what they say to each other.

use std::time::Duration;

use anyhow::{Context as _, bail};
use millstream::rusqlite::Connection;
use rand::RngExt as _;

use crate::faults::stage::Stage;
use crate::fleet::RELAYS;
use crate::play::Play;

/// How long something may take that leases decide about.
const TAKE_OVER_MAX: Duration = Duration::from_secs(20);

/// How long others may hold the lock of CRM's database.
const LOCK_MAX: Duration = Duration::from_millis(300);

/// How often it is tried to stop a relay outside of its transactions.
const STOPS_MAX: usize = 50;

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
        let (from, to) = self.part;
        let before = RELAYS.map(|relay| self.play.fleet.done(relay));
        self.play.fleet.allow(from + (to - from) / 2)?;
        let moved = |play: &Play| {
            let now = RELAYS.into_iter().zip(before);
            let mut moved = now.filter(|(relay, before)| play.fleet.done(*relay) > *before);
            moved.next().map(|(relay, _)| relay)
        };
        let none = "no relay works";
        let works = |play: &Play| Ok(moved(play).is_some());
        self.play.until(none, TAKE_OVER_MAX, works)?;
        let stopped = moved(&self.play).context(none)?;
        let mut others = RELAYS.into_iter().filter(|relay| *relay != stopped);
        let successor = others.next().context("there are two")?;

        self.stop_outside_of_transactions(stopped)?;
        let before = self.play.fleet.done(successor);
        self.play.fleet.allow(to)?;
        let took_over = self
            .play
            .until("no successor works", TAKE_OVER_MAX, |play| {
                Ok(play.fleet.done(successor) > before)
            });
        self.play.fleet.thaw(stopped)?;
        took_over
    }

    /// Inside of one, it would hold SQLite's only write lock, and nobody could take over anything.
    fn stop_outside_of_transactions(&self, relay: usize) -> anyhow::Result<()> {
        let crm = self.play.site.database("crm");
        let db = Connection::open(&crm).context("crm.db")?;
        db.busy_timeout(LOCK_MAX)?;
        for _ in 0..STOPS_MAX {
            self.play.fleet.freeze(relay)?;
            if db.execute_batch("BEGIN IMMEDIATE; ROLLBACK").is_ok() {
                return Ok(());
            }
            self.play.fleet.thaw(relay)?;
        }
        bail!("the relay is always inside of a transaction")
    }

    /// Commands run, and nobody hears of it.
    pub(super) fn lost_replies(&mut self) -> anyhow::Result<()> {
        let before = self.proxy.counts().replies_dropped;
        let count = self.random.random_range(1..=REPLIES_MAX);
        for _ in 0..count {
            self.proxy.drop_reply_to(APPENDS);
        }
        self.proxy.drop_replies(count);
        let lost = self
            .proxy
            .counted(|counts| counts.replies_dropped > before + count);
        // Each loss ends a connection, and clients rest before the next: some do, where not all come.
        let waited = self
            .runtime
            .block_on(async { tokio::time::timeout(ASKED_MAX, lost).await });
        self.proxy.drop_nothing();
        match waited {
            Ok(counts) => counts.map(drop),
            Err(_) if self.proxy.counts().replies_dropped > before => Ok(()),
            Err(_) => bail!("no replies to lose"),
        }
    }
}
