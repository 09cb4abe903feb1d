//! What a server does without us, to be measured against.

use redis::Pipeline;

use millstream_core::descriptor::Descriptor;
use millstream_core::entry::{Entry, Shard};
use millstream_core::error::Error;

use super::announce::field;
use super::connect::Transport;
use super::key::{Key, PUBLISHERS};

impl Transport {
    /// Adds the entries by one pipeline of plain `XADD`s. Nothing is compared, nothing happens at once,
    /// and no redirect is followed: what fails may have added some of them.
    ///
    /// # Errors
    ///
    /// As [`append`](millstream_core::log::Log::append).
    pub async fn add_bare(&self, shard: &Shard, entries: &[Entry]) -> Result<(), Error> {
        let key = Key::owned(shard);
        let mut pipeline = Pipeline::with_capacity(entries.len());
        for Entry { id, fields } in entries {
            let command = pipeline.cmd("XADD").arg(key.as_str()).arg(id.to_string());
            for (name, value) in fields.iter() {
                command.arg(&**name).arg(&**value);
            }
        }
        let added = self.router.pipeline(key.as_bytes(), &pipeline).await;
        added.map_err(self.cannot("add to", key))
    }

    /// Removes everything that is kept of a stream that was there for a measurement only: its shards,
    /// its descriptor, and all messages to its owner.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](millstream_core::error::ErrorKind::Unavailable) when the server is away.
    pub async fn remove_all(&self, descriptor: &Descriptor) -> Result<(), Error> {
        let acknowledgments = Key::acknowledgments(&descriptor.owner);
        let shards = descriptor.shards().map(|shard| Key::owned(&shard));
        for key in shards.chain([acknowledgments]) {
            let mut command = redis::cmd("UNLINK");
            command.arg(key.as_str());
            let removed = self.router.run(key.as_bytes(), &command).await;
            removed.map_err(self.cannot("remove", key))?;
        }
        let mut command = redis::cmd("HDEL");
        command.arg(PUBLISHERS).arg(field(descriptor));
        let removed = self.router.run(PUBLISHERS.as_bytes(), &command).await;
        removed
            .map(drop)
            .map_err(self.cannot("remove", &descriptor.stream))
    }
}
