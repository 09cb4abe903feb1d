use std::time::Duration;

use async_trait::async_trait;

use millstream_core::descriptor::Descriptor;
use millstream_core::entry::{Entry, EntryId, Fields, Shard};
use millstream_core::error::Error;
use millstream_core::log::{Appended, Description, Log, Position, ReadLimit};
use millstream_core::name::{AppName, StreamName};

use super::connect::Transport;
use super::key::Key;
use super::{acknowledge, announce, append, describe, position, read, replace, trim};

#[async_trait]
impl Log for Transport {
    async fn append(
        &self,
        shard: &Shard,
        last: EntryId,
        entries: &[Entry],
    ) -> Result<Appended, Error> {
        append::append(self, shard, last, entries).await
    }

    async fn replace(
        &self,
        shard: &Shard,
        judged: EntryId,
        base: EntryId,
        entries: &[Entry],
    ) -> Result<Appended, Error> {
        replace::replace(self, shard, judged, base, entries).await
    }

    async fn read(
        &self,
        shard: &Shard,
        after: EntryId,
        limit: ReadLimit,
        wait: Duration,
    ) -> Result<Vec<Entry>, Error> {
        read::read(self, Key::owned(shard), after, limit, wait).await
    }

    async fn publish_position(&self, shard: &Shard, position: &Position) -> Result<(), Error> {
        position::publish(self, shard, position).await
    }

    async fn positions(&self, shard: &Shard) -> Result<Vec<Position>, Error> {
        position::all(self, shard).await
    }

    async fn forget_positions(&self, shard: &Shard, group: &AppName) -> Result<(), Error> {
        position::forget(self, shard, group).await
    }

    async fn trim(&self, shard: &Shard, floor: EntryId) -> Result<u64, Error> {
        trim::trim(self, Key::owned(shard), floor).await
    }

    async fn describe(&self, shard: &Shard) -> Result<Description, Error> {
        describe::describe(self, Key::owned(shard)).await
    }

    async fn announce(&self, descriptor: &Descriptor) -> Result<(), Error> {
        announce::announce(self, descriptor).await
    }

    async fn publishers(&self, stream: Option<&StreamName>) -> Result<Vec<Descriptor>, Error> {
        announce::publishers(self, stream).await
    }

    async fn acknowledge(&self, owner: &AppName, fields: &Fields) -> Result<(), Error> {
        acknowledge::acknowledge(self, owner, fields).await
    }

    async fn acknowledgments(
        &self,
        owner: &AppName,
        after: EntryId,
        count: usize,
    ) -> Result<Vec<Entry>, Error> {
        acknowledge::acknowledgments(self, owner, after, count).await
    }
}
