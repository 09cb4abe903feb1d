//! What people and other programs do to streams.

use millstream_core::entry::{EntryId, Shard};
use rand::RngExt as _;

use crate::faults::stage::Stage;
use crate::site::shards;

/// Runs a command and says what each of the streams held just before: how many entries, and the last.
const ROB: &str = "
local held = {}
for i, key in ipairs(KEYS) do
    local last = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
    held[i] = {redis.call('XLEN', key), last and last[1] or '0-0'}
end
redis.call(unpack(ARGV))
return held
";

const XDEL_LAST: &str = "
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
if not last then return '0-0' end
redis.call('XDEL', KEYS[1], last[1])
return last[1]
";

/// Entries that one XDEL takes out of the middle, at most.
const MIDDLE_MAX: u64 = 5;

/// No relay comes to this generation.
const FAR_FUTURE: &str = "9999999999999-7";

impl Stage {
    /// Runs a command that empties all shards.
    pub(super) fn rob_all(&mut self, command: &[&str]) -> anyhow::Result<()> {
        self.rob(&shards()?, command)
    }

    pub(super) fn del(&mut self) -> anyhow::Result<()> {
        self.rob_one(|key| vec!["DEL".into(), key])
    }

    pub(super) fn rename(&mut self) -> anyhow::Result<()> {
        self.rob_one(|key| {
            let elsewhere = format!("elsewhere:{key}");
            vec!["RENAME".into(), key, elsewhere]
        })
    }

    pub(super) fn xtrim(&mut self) -> anyhow::Result<()> {
        self.rob_one(|key| vec!["XTRIM".into(), key, "MAXLEN".into(), "0".into()])
    }

    fn rob_one(&mut self, command: impl Fn(String) -> Vec<String>) -> anyhow::Result<()> {
        let Some(shard) = self.some_shard()? else {
            return Ok(());
        };
        let command = command(shard.to_string());
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        self.rob(&[shard], &words)
    }

    fn rob(&mut self, of: &[Shard], command: &[&str]) -> anyhow::Result<()> {
        let keys: Vec<String> = of.iter().map(Shard::to_string).collect();
        let count = keys.len().to_string();
        let mut words = vec!["EVAL", ROB, &count];
        words.extend(keys.iter().map(String::as_str));
        words.extend(command);
        let held: Vec<(u64, String)> = self.ask(&words)?;
        for (shard, (length, last)) in of.iter().zip(held) {
            self.lost(shard.number, id(&last), length)?;
        }
        Ok(())
    }

    /// Takes some entries out, if it can be of those that somebody still needs.
    pub(super) fn xdel_middle(&mut self) -> anyhow::Result<()> {
        let Some(shard) = self.some_shard()? else {
            return Ok(());
        };
        let about = self.descriptions()?[usize::from(shard.number)];
        let (first, last) = (about.first.unwrap_or_default().low, about.last.low);
        let settled = self.settled_by_all(shard.number)?.low;
        let from = if settled + 1 < last {
            first.max(settled)
        } else {
            first
        };
        let at = self.random.random_range(from..=last.max(from));
        let until = at + self.random.random_range(1..=MIDDLE_MAX);
        let key = shard.to_string();
        for seq in at..until.min(last) {
            let entry = format!("1-{seq}");
            let gone: u64 = self.ask(&["XDEL", &key, &entry])?;
            self.lost(shard.number, id(&entry), gone)?;
        }
        Ok(())
    }

    pub(super) fn xdel_last(&mut self) -> anyhow::Result<()> {
        let Some(shard) = self.some_shard()? else {
            return Ok(());
        };
        let key = shard.to_string();
        let last: String = self.ask(&["EVAL", XDEL_LAST, "1", &key])?;
        let last = id(&last);
        self.lost(shard.number, last, u64::from(last != EntryId::ZERO))
    }

    /// Somebody takes the stream for a shared one.
    pub(super) fn foreign(&mut self) -> anyhow::Result<()> {
        let Some(shard) = self.some_shard()? else {
            return Ok(());
        };
        let place = if self.random.random() {
            FAR_FUTURE
        } else {
            "1-*"
        };
        let fields = [
            ["eventId", "foreign"],
            ["eventType", "user.updated"],
            ["sourceApplication", "billing"],
            ["targetApplication", "*"],
            ["tenantId", "acme"],
            ["entityId", "10001"],
            ["eventData", r#"{"firstName":"Nobody"}"#],
        ];
        let key = shard.to_string();
        let words = [["XADD", &key].as_slice(), &[place], fields.as_flattened()].concat();
        self.tell(&words)
    }

    pub(super) fn group_destroy(&mut self) -> anyhow::Result<()> {
        for shard in shards()? {
            let key = shard.to_string();
            let exists: u64 = self.ask(&["EXISTS", &key])?;
            if exists > 0 {
                self.tell(&["XGROUP", "DESTROY", &key, "hr"])?;
            }
        }
        Ok(())
    }
}

fn id(text: &str) -> EntryId {
    text.parse().unwrap_or_default()
}
