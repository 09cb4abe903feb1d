//! Logs around another log, to inject faults.

use std::ops::Deref;
use std::time::Duration;

use async_trait::async_trait;

use millstream_core::descriptor::Descriptor;
use millstream_core::entry::{Entry, EntryId, Fields, Shard};
use millstream_core::error::Error;
use millstream_core::log::{Appended, Description, Log, Position, ReadLimit};
use millstream_core::name::{AppName, StreamName};

/// What a wrapper does otherwise than the log inside; [`Wrapped`] makes a [`Log`] of it.
///
/// Each method passes through unless the wrapper spells it.
#[async_trait]
#[expect(missing_docs, reason = "the methods are those of `Log`")]
pub trait Wrapper: Send + Sync + std::fmt::Debug {
    /// The log inside.
    fn log(&self) -> &dyn Log;

    async fn append(
        &self,
        shard: &Shard,
        last: EntryId,
        entries: &[Entry],
    ) -> Result<Appended, Error> {
        self.log().append(shard, last, entries).await
    }

    async fn replace(
        &self,
        shard: &Shard,
        judged: EntryId,
        base: EntryId,
        entries: &[Entry],
    ) -> Result<Appended, Error> {
        self.log().replace(shard, judged, base, entries).await
    }

    async fn read(
        &self,
        shard: &Shard,
        after: EntryId,
        limit: ReadLimit,
        wait: Duration,
    ) -> Result<Vec<Entry>, Error> {
        self.log().read(shard, after, limit, wait).await
    }

    async fn publish_position(&self, shard: &Shard, position: &Position) -> Result<(), Error> {
        self.log().publish_position(shard, position).await
    }

    async fn positions(&self, shard: &Shard) -> Result<Vec<Position>, Error> {
        self.log().positions(shard).await
    }

    async fn forget_positions(&self, shard: &Shard, group: &AppName) -> Result<(), Error> {
        self.log().forget_positions(shard, group).await
    }

    async fn trim(&self, shard: &Shard, floor: EntryId) -> Result<u64, Error> {
        self.log().trim(shard, floor).await
    }

    async fn describe(&self, shard: &Shard) -> Result<Description, Error> {
        self.log().describe(shard).await
    }

    async fn announce(&self, descriptor: &Descriptor) -> Result<(), Error> {
        self.log().announce(descriptor).await
    }

    async fn publishers(&self, stream: Option<&StreamName>) -> Result<Vec<Descriptor>, Error> {
        self.log().publishers(stream).await
    }

    async fn acknowledge(&self, owner: &AppName, fields: &Fields) -> Result<(), Error> {
        self.log().acknowledge(owner, fields).await
    }

    async fn acknowledgments(
        &self,
        owner: &AppName,
        after: EntryId,
        count: usize,
    ) -> Result<Vec<Entry>, Error> {
        self.log().acknowledgments(owner, after, count).await
    }
}

/// The log that a [`Wrapper`] describes.
#[derive(Debug)]
pub struct Wrapped<W>(pub W);

impl<W> Deref for Wrapped<W> {
    type Target = W;

    fn deref(&self) -> &W {
        &self.0
    }
}

#[async_trait]
impl<W: Wrapper> Log for Wrapped<W> {
    async fn append(
        &self,
        shard: &Shard,
        last: EntryId,
        entries: &[Entry],
    ) -> Result<Appended, Error> {
        self.0.append(shard, last, entries).await
    }

    async fn replace(
        &self,
        shard: &Shard,
        judged: EntryId,
        base: EntryId,
        entries: &[Entry],
    ) -> Result<Appended, Error> {
        self.0.replace(shard, judged, base, entries).await
    }

    async fn read(
        &self,
        shard: &Shard,
        after: EntryId,
        limit: ReadLimit,
        wait: Duration,
    ) -> Result<Vec<Entry>, Error> {
        self.0.read(shard, after, limit, wait).await
    }

    async fn publish_position(&self, shard: &Shard, position: &Position) -> Result<(), Error> {
        self.0.publish_position(shard, position).await
    }

    async fn positions(&self, shard: &Shard) -> Result<Vec<Position>, Error> {
        self.0.positions(shard).await
    }

    async fn forget_positions(&self, shard: &Shard, group: &AppName) -> Result<(), Error> {
        self.0.forget_positions(shard, group).await
    }

    async fn trim(&self, shard: &Shard, floor: EntryId) -> Result<u64, Error> {
        self.0.trim(shard, floor).await
    }

    async fn describe(&self, shard: &Shard) -> Result<Description, Error> {
        self.0.describe(shard).await
    }

    async fn announce(&self, descriptor: &Descriptor) -> Result<(), Error> {
        self.0.announce(descriptor).await
    }

    async fn publishers(&self, stream: Option<&StreamName>) -> Result<Vec<Descriptor>, Error> {
        self.0.publishers(stream).await
    }

    async fn acknowledge(&self, owner: &AppName, fields: &Fields) -> Result<(), Error> {
        self.0.acknowledge(owner, fields).await
    }

    async fn acknowledgments(
        &self,
        owner: &AppName,
        after: EntryId,
        count: usize,
    ) -> Result<Vec<Entry>, Error> {
        self.0.acknowledgments(owner, after, count).await
    }
}
