//! What a server does when its memory is full.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::faults::stage::Stage;
use crate::info::{memory, refused};
use crate::site::shards;

/// A value of somebody's cache.
const CACHED_BYTES: usize = 100_000;

/// How many of them are written before streams must be gone.
const CACHED_MAX: usize = 400;

/// By how much the server shrinks with each of them, in percent.
const SHRINKS_PERCENT: u64 = 5;

/// So little that nothing at all fits.
const NOTHING: &str = "1mb";

/// How long it may take until somebody wants to write.
const REFUSED_MAX: Duration = Duration::from_secs(30);

const LOOK_INTERVAL: Duration = Duration::from_millis(50);

impl Stage {
    /// A cache shares the server, which is set to make room for it by whatever was not used lately.
    pub(super) fn eviction(&mut self) -> anyhow::Result<()> {
        let before = self.descriptions()?;
        let keys: Vec<String> = shards()?.iter().map(ToString::to_string).collect();
        let exist: Vec<&str> = ["EXISTS"]
            .into_iter()
            .chain(keys.iter().map(String::as_str))
            .collect();
        let held: u64 = self.ask(&exist)?;
        let value = "x".repeat(CACHED_BYTES);
        let mut room = memory(&self.runtime, &self.server)?;
        self.tell(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"])?;
        let mut cached = 0;
        while held > 0 && self.ask::<u64>(&exist)? == held {
            ensure!(cached < CACHED_MAX, "nothing is evicted");
            room -= room * SHRINKS_PERCENT / 100;
            self.tell(&["CONFIG", "SET", "maxmemory", &room.to_string()])?;
            // It may be refused: then there is nothing left to evict.
            drop(self.tell(&["SET", &format!("cache:{cached}"), &value]));
            cached += 1;
        }
        let mut lost = Vec::new();
        for (key, (shard, about)) in keys.iter().zip((0..).zip(before)) {
            if self.ask::<u64>(&["EXISTS", key])? == 0 {
                lost.push((shard, about));
            }
        }
        self.tell(&["CONFIG", "SET", "maxmemory", "0"])?;
        self.tell(&["CONFIG", "SET", "maxmemory-policy", "noeviction"])?;
        for number in 0..cached {
            self.tell(&["DEL", &format!("cache:{number}")])?;
        }
        for (shard, about) in lost {
            self.lost(shard, about.last, about.length)?;
        }
        Ok(())
    }

    /// For a while the server refuses whatever needs memory.
    pub(super) fn oom(&mut self) -> anyhow::Result<()> {
        let before = refused(&self.runtime, &self.server)?;
        self.tell(&["CONFIG", "SET", "maxmemory", NOTHING])?;
        // What is still to happen happens now, and is kept in the outbox.
        thread::sleep(self.oom);
        // The relay may have been killed just before, and its lease be waited for.
        let end = Instant::now() + REFUSED_MAX;
        while refused(&self.runtime, &self.server)? == before && Instant::now() < end {
            thread::sleep(LOOK_INTERVAL);
        }
        self.play.fleet.must_live()?;
        let refused = refused(&self.runtime, &self.server)? > before;
        self.tell(&["CONFIG", "SET", "maxmemory", "0"])?;
        ensure!(refused, "nothing was refused");
        Ok(())
    }
}
