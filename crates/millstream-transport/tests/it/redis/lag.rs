//! What `XINFO GROUPS` shows of owned streams, to any tool: the true lag.

use std::collections::HashMap;

use millstream_core::entry::EntryId;
use millstream_core::log::{Appended, Log, Position};
use millstream_testkit::redis::Value;
use millstream_testkit::server::{Flavour, Server};
use millstream_testkit::{app, database, entries, shard};
use millstream_transport::redis::Transport;

use super::client;

struct Site {
    server: Server,
    transport: Transport,
}

impl Site {
    async fn new(flavour: Flavour) -> Self {
        let server = Server::builder(flavour).in_memory().start().await.unwrap();
        let transport = client(&server).await;
        Self { server, transport }
    }

    async fn append(&self, from: u64, to: u64) {
        let last = EntryId::new(u64::from(from > 1), from - 1);
        let (shard, batch) = (shard(0), entries(from..=to));
        let appended = self.transport.append(&shard, last, &batch).await;
        assert_eq!(appended.unwrap(), Appended::Added);
    }

    /// Publishes a position, and looks at it as `redis-cli` would.
    async fn check(&self, at: u64, lag: u64) {
        let position = Position {
            group: app("hr"),
            database: database("d1"),
            at: EntryId::new(1, at),
        };
        let published = self.transport.publish_position(&shard(0), &position).await;
        published.unwrap();
        self.shows(at, lag).await;
    }

    async fn shows(&self, at: u64, lag: u64) {
        let ask = ["XINFO", "GROUPS", &shard(0).to_string()];
        let groups: Vec<HashMap<String, Value>> = self.server.query(&ask).await.unwrap();
        let hr = Value::BulkString(b"hr".to_vec());
        let group = groups.iter().find(|group| group["name"] == hr).unwrap();
        let (at, lag) = (format!("1-{at}"), i64::try_from(lag).unwrap());
        assert_eq!(group["last-delivered-id"], Value::BulkString(at.into()));
        assert_eq!(group["lag"], Value::Int(lag), "{group:?}");
        assert_eq!(group["pending"], Value::Int(0));
    }
}

async fn check(flavour: Flavour) {
    let site = Site::new(flavour).await;
    let shard = shard(0);
    site.append(1, 10).await;
    site.check(4, 6).await;
    site.append(11, 12).await;
    site.shows(4, 8).await;

    // Trimmed, up to its position and below.
    for floor in [2, 5] {
        let trim = site.transport.trim(&shard, EntryId::new(1, floor));
        trim.await.unwrap();
        site.shows(4, 8).await;
    }
    site.check(6, 6).await;

    // Begun anew by a repair, from a floor on.
    let (top, batch) = (EntryId::new(1, 12), entries(5..=12));
    let replaced = site
        .transport
        .replace(&shard, top, EntryId::new(1, 4), &batch);
    assert_eq!(replaced.await.unwrap(), Appended::Added);
    site.check(7, 5).await;
    site.append(13, 13).await;
    site.shows(7, 6).await;
    site.check(13, 0).await;

    // Lost with everything, and put back from a floor on.
    let flushed = site.server.command(&["FLUSHALL"]).await;
    flushed.unwrap();
    let (zero, batch) = (EntryId::ZERO, entries(9..=13));
    let replaced = site
        .transport
        .replace(&shard, zero, EntryId::new(1, 8), &batch);
    assert_eq!(replaced.await.unwrap(), Appended::Added);
    site.check(10, 3).await;
    site.append(14, 20).await;
    site.shows(10, 10).await;
    site.check(20, 0).await;
}

#[tokio::test]
async fn is_true_on_redis() {
    check(Flavour::Redis).await;
}

#[tokio::test]
async fn is_true_on_valkey() {
    check(Flavour::Valkey).await;
}
