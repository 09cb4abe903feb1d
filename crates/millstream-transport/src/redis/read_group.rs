use std::time::Duration;

use tokio::time::Instant;

use millstream_core::entry::Entry;
use millstream_core::error::Error;
use millstream_core::log::ReadLimit;
use millstream_core::name::StreamName;
use millstream_core::queue::Member;

use super::connect::Transport;
use super::error::{Class, Fault};
use super::key::Key;
use super::read::{BLOCK_MAX, wait_at_the_server};
use super::reply;
use super::script::Script;

/// How often one read makes the group that it misses. Somebody who destroys it over and over again
/// must not keep us busy.
const MAKE_MAX: usize = 3;

/// Entries handed out by one run of the script: the server does nothing else meanwhile.
const HAND_OUT_MAX: usize = 1_000;

static HAND_OUT: Script = Script::new(include_str!("scripts/hand_out.lua"));

pub(super) async fn read_group(
    transport: &Transport,
    stream: &StreamName,
    member: &Member,
    limit: ReadLimit,
    wait: Duration,
) -> Result<Vec<Entry>, Error> {
    let key = Key::shared(stream);
    let read = Read {
        transport,
        key: &key,
        member,
    };
    read.within(limit, wait)
        .await
        .map_err(transport.cannot("read a group of", &key))
}

struct Read<'a> {
    transport: &'a Transport,
    key: &'a Key,
    member: &'a Member,
}

impl Read<'_> {
    async fn within(&self, limit: ReadLimit, wait: Duration) -> Result<Vec<Entry>, Fault> {
        if limit.count == 0 {
            return Ok(Vec::new());
        }
        let deadline = Instant::now() + wait;
        let mut made = 0;
        loop {
            let block = deadline.saturating_duration_since(Instant::now());
            match self.once(limit, block.min(BLOCK_MAX)).await {
                Ok(entries) if entries.is_empty() && !block.is_zero() => {}
                // After a loss, by mistake, or since nobody has made it yet.
                Err(fault) if fault.class() == Some(Class::NoGroup) && made < MAKE_MAX => {
                    made += 1;
                    self.make().await?;
                }
                outcome => return outcome,
            }
        }
    }

    async fn once(&self, limit: ReadLimit, block: Duration) -> Result<Vec<Entry>, Fault> {
        let there = self.hand_out(limit, 0).await?;
        if !there.is_empty() || block.is_zero() {
            return Ok(there);
        }
        let mut entries = self.wait(block).await?;
        if let [first] = &*entries {
            let rest = ReadLimit {
                count: limit.count - 1,
                ..limit
            };
            // What has come is pending already: a fault must not take it away.
            let more = self.hand_out(rest, first.fields.byte_len()).await;
            entries.extend(more.unwrap_or_default());
        }
        Ok(entries)
    }

    /// Hands out what is there, when so many bytes have come before it.
    async fn hand_out(&self, limit: ReadLimit, before: usize) -> Result<Vec<Entry>, Fault> {
        let Member { group, consumer } = self.member;
        let answer = HAND_OUT
            .run(&self.transport.router, self.key.as_str(), |command| {
                command
                    .arg(group.as_str())
                    .arg(consumer.as_str())
                    .arg(limit.count.min(HAND_OUT_MAX))
                    .arg(limit.bytes)
                    .arg(before);
            })
            .await?;
        reply::entries(answer)
    }

    /// Waits for the next entry, which is handed out alone.
    async fn wait(&self, block: Duration) -> Result<Vec<Entry>, Fault> {
        let Member { group, consumer } = self.member;
        let key = self.key.as_str();
        let answer = self
            .transport
            .router
            .read(self.key.as_bytes(), block, |waits| {
                let mut command = redis::cmd("XREADGROUP");
                command.arg("GROUP").arg(group.as_str());
                command.arg(consumer.as_str()).arg("COUNT").arg(1);
                if waits {
                    wait_at_the_server(&mut command, block);
                }
                command.arg("STREAMS").arg(key).arg(">");
                command
            })
            .await?;
        reply::streams(answer)
    }

    /// Makes the group, from the first entry on: whoever comes later must not miss what was there.
    async fn make(&self) -> Result<(), Fault> {
        let mut command = redis::cmd("XGROUP");
        command
            .arg("CREATE")
            .arg(self.key.as_str())
            .arg(self.member.group.as_str())
            .arg("0")
            .arg("MKSTREAM");
        let router = &self.transport.router;
        match router.run(self.key.as_bytes(), &command).await {
            Err(fault) if fault.class() == Some(Class::Exists) => Ok(()),
            answer => answer.map(drop),
        }
    }
}
