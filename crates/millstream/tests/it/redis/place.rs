//! CRM and HR with a server between them, and a proxy before it.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use millstream::core::lease::Feed;
use millstream::core::name::{AppName, EventType, InstanceId};
use millstream::core::queue::Member;
use millstream::engine::status::{State, Status};
use millstream::rusqlite::Connection;
use millstream::{App, Event, NewEvent, rusqlite};
use millstream_testkit::proxy::Proxy;
use millstream_testkit::redis::{Value, from_redis_value_ref};
use millstream_testkit::server::{Builder, Flavour, Server};

use crate::site::{self, Site, eventually, numbers};

/// Applications that speak to a server through a proxy.
pub(super) struct Place {
    pub(super) site: Site,
    pub(super) proxy: Proxy,
    pub(super) server: Server,
}

impl Place {
    /// Redis that forgets everything when it ends.
    pub(super) async fn new(shards: u16) -> Result<Self> {
        Self::of(Flavour::Redis, shards).await
    }

    pub(super) async fn of(flavour: Flavour, shards: u16) -> Result<Self> {
        Self::on(Server::builder(flavour).in_memory(), shards).await
    }

    pub(super) async fn on(server: Builder, shards: u16) -> Result<Self> {
        let server = server.start().await?;
        let proxy = Proxy::start(server.address())?;
        let url = server.url_at(proxy.address());
        Ok(Self {
            site: Site::over(&url, shards, "2s").await?,
            proxy,
            server,
        })
    }

    /// Has the server run words without an interesting answer, past the proxy.
    pub(super) async fn run(&self, words: &[&str]) -> Result<()> {
        self.server
            .command(words)
            .await
            .with_context(|| words.join(" "))?;
        Ok(())
    }

    /// A number of `INFO`.
    pub(super) async fn info(&self, name: &str) -> Result<f64> {
        let text: String = self.server.query(&["INFO", "everything"]).await?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        Ok(line.context("no such number")?.trim().parse()?)
    }

    /// Waits until that many reads wait at the server.
    pub(super) async fn blocked(&self, count: u64) -> Result<()> {
        eventually(true, async || {
            Ok(self.info("blocked_clients").await? >= count as f64)
        })
        .await
    }

    /// The ids in the stream of a shard.
    pub(super) async fn ids(&self, shard: u16) -> Result<Vec<String>> {
        let key = key(shard);
        let entries: Vec<(String, Vec<String>)> =
            self.server.query(&["XRANGE", &key, "-", "+"]).await?;
        Ok(entries.into_iter().map(|(id, _)| id).collect())
    }

    /// Entries of the shared stream that HR was handed and has not acked.
    pub(super) async fn pending(&self) -> Result<u64> {
        let groups: Vec<HashMap<String, Value>> =
            self.server.query(&["XINFO", "GROUPS", "events"]).await?;
        let pending = groups.first().and_then(|group| group.get("pending"));
        Ok(pending.map_or(Ok(0), from_redis_value_ref)?)
    }

    /// HR with accounts, on which each credit has an effect of its own: twice is seen.
    pub(super) fn accounts(&self) -> Result<App> {
        Connection::open(self.site.path("hr.db"))?.execute_batch(
            "CREATE TABLE accounts (id TEXT PRIMARY KEY, balance INTEGER NOT NULL)",
        )?;
        Ok(self.site.hr.clone().on("account.credited", credit))
    }

    /// What was credited in all.
    pub(super) fn balance(&self) -> Result<u64> {
        let sum = "SELECT coalesce(sum(balance), 0) FROM accounts";
        Ok(numbers(&self.site.path("hr.db"), sum)?[0])
    }

    /// Adds credits of 1 to the shared stream, through the proxy.
    pub(super) async fn credit(&self, ids: impl IntoIterator<Item = u64>) -> Result<()> {
        let direct = self.site.crm.direct(&self.site.transport);
        for id in ids {
            direct.publish(&self.site.stream(), &credited(id)).await?;
        }
        Ok(())
    }

    /// Adds a credit of 1 to the shared stream as somebody who knows nothing of us would.
    pub(super) async fn credit_by_hand(&self, entry: &str, id: &str) -> Result<()> {
        let event = ["eventId", id, "eventType", "account.credited"];
        let fields = ["tenantId", "acme", "entityId", "1", "eventData", "{}"];
        self.run(&[&["XADD", "events", entry], &event[..], &fields[..]].concat())
            .await
    }

    pub(super) async fn publish(&self, ids: impl IntoIterator<Item = u64>) -> Result<()> {
        let events: Vec<_> = ids.into_iter().map(numbered).collect();
        self.site.publish(&events).await
    }

    /// Waits until HR has settled the events `e1` to `e{count}`, and each of them once.
    pub(super) async fn settled(&self, count: u64) -> Result<()> {
        let mut expected: Vec<_> = (1..=count).map(|id| format!("e{id} applied")).collect();
        expected.sort();
        eventually(expected, async || {
            let mut found = self.site.inbox()?;
            found.sort();
            Ok(found)
        })
        .await
    }
}

/// The key of one of CRM's shards.
pub(super) fn key(shard: u16) -> String {
    site::shard(shard).to_string()
}

/// Event `e{id}` of an entity of its own.
pub(super) fn numbered(id: u64) -> NewEvent {
    site::event(&format!("e{id}"), &id.to_string(), &format!("e{id}"))
}

pub(super) fn credited(id: u64) -> NewEvent {
    NewEvent {
        event_type: EventType::new("account.credited").expect("it is a type"),
        ..site::event(&format!("e{id}"), &(id % 7).to_string(), "x")
    }
}

type Handled = Result<(), Box<dyn std::error::Error + Send + Sync>>;

pub(super) fn credit(event: &Event, tx: &rusqlite::Transaction<'_>) -> Handled {
    tx.execute(
        "INSERT INTO accounts (id, balance) VALUES (?1, 1)
         ON CONFLICT (id) DO UPDATE SET balance = balance + 1",
        [event.entity.as_str()],
    )?;
    Ok(())
}

/// A reader of HR's group.
pub(super) fn member(consumer: &str) -> Result<Member> {
    Ok(Member {
        group: AppName::new("hr")?,
        consumer: InstanceId::new(consumer)?,
    })
}

pub(super) fn is_stalled(status: &Status, shard: u16) -> bool {
    let feed = status.feeds.get(&Feed::Owned(site::shard(shard)));
    feed.is_some_and(|feed| matches!(feed.state, State::Stalled(_)))
}

pub(super) fn is_paused(status: &Status) -> bool {
    let paused = |state: &State| matches!(state, State::Paused(_));
    status.paused.is_some() || status.feeds.values().any(|feed| paused(&feed.state))
}

pub(super) fn runs(status: &Status) -> bool {
    let running = |state: &State| *state == State::Running;
    !status.feeds.is_empty() && status.feeds.values().all(|feed| running(&feed.state))
}

/// The longest that a wait of the rows about networks may take.
pub(super) const STUCK_MAX: Duration = Duration::from_secs(30);
