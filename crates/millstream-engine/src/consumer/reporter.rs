use std::sync::Arc;

use millstream_core::acknowledgment::{Acknowledgment, Message, Receipt};
use millstream_core::entry::{EntryId, Shard};
use millstream_core::error::Error;
use millstream_core::log::{Log, Position};
use millstream_core::name::{AppName, DatabaseId};

/// Speaks to the owner of a shard, and to everybody who looks at it, in a follower's name.
#[derive(Debug, Clone)]
pub(super) struct Reporter {
    pub(super) log: Arc<dyn Log>,
    pub(super) application: AppName,
    pub(super) database: DatabaseId,
    pub(super) shard: Shard,
}

impl Reporter {
    /// Shows everybody how far the follower is.
    pub(super) async fn publish_position(&self, at: EntryId) -> Result<(), Error> {
        let position = Position {
            group: self.application.clone(),
            database: self.database.clone(),
            at,
        };
        self.log.publish_position(&self.shard, &position).await
    }

    /// Tells the owner what is settled.
    pub(super) async fn send(&self, receipt: Receipt) -> Result<(), Error> {
        self.say(Message::Receipt(receipt)).await
    }

    /// Tells the owner that what comes after `after` is not there.
    pub(super) async fn ask_for_repair(&self, after: EntryId) -> Result<(), Error> {
        let shard = self.shard.number;
        self.say(Message::Repair { shard, after }).await
    }

    async fn say(&self, message: Message) -> Result<(), Error> {
        let acknowledgment = Acknowledgment {
            application: self.application.clone(),
            database: self.database.clone(),
            stream: self.shard.stream.clone(),
            message,
        };
        self.log
            .acknowledge(&self.shard.owner, &acknowledgment.encode())
            .await
    }
}
