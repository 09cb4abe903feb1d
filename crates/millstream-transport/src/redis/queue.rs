use std::time::Duration;

use async_trait::async_trait;

use millstream_core::entry::{Entry, EntryId, Fields};
use millstream_core::error::Error;
use millstream_core::log::{Description, ReadLimit};
use millstream_core::name::{AppName, StreamName};
use millstream_core::queue::{Claimed, Consumer, Group, Member, PendingEntry, Queue};

use super::connect::Transport;
use super::key::Key;
use super::{ack, add, claim, consumer, describe, group, history, read, read_group, trim};

#[async_trait]
impl Queue for Transport {
    async fn add(&self, stream: &StreamName, fields: &Fields) -> Result<EntryId, Error> {
        add::add(self, stream, fields).await
    }

    async fn read_group(
        &self,
        stream: &StreamName,
        member: &Member,
        limit: ReadLimit,
        wait: Duration,
    ) -> Result<Vec<Entry>, Error> {
        read_group::read_group(self, stream, member, limit, wait).await
    }

    async fn claim(
        &self,
        stream: &StreamName,
        member: &Member,
        idle_min: Duration,
        after: EntryId,
        limit: ReadLimit,
    ) -> Result<Claimed, Error> {
        claim::claim(self, stream, member, idle_min, after, limit).await
    }

    async fn history(
        &self,
        stream: &StreamName,
        member: &Member,
        after: EntryId,
        limit: ReadLimit,
    ) -> Result<Claimed, Error> {
        history::history(self, stream, member, after, limit).await
    }

    async fn ack(
        &self,
        stream: &StreamName,
        group: &AppName,
        entries: &[EntryId],
    ) -> Result<u64, Error> {
        ack::ack(self, stream, group, entries).await
    }

    async fn pending(
        &self,
        stream: &StreamName,
        group: &AppName,
        after: EntryId,
        count: usize,
    ) -> Result<Vec<PendingEntry>, Error> {
        group::pending(self, stream, group, after, count).await
    }

    async fn range(
        &self,
        stream: &StreamName,
        after: EntryId,
        limit: ReadLimit,
    ) -> Result<Vec<Entry>, Error> {
        read::range(self, Key::shared(stream), after, limit).await
    }

    async fn describe_shared(&self, stream: &StreamName) -> Result<Description, Error> {
        describe::describe(self, Key::shared(stream)).await
    }

    async fn groups(&self, stream: &StreamName) -> Result<Vec<Group>, Error> {
        group::groups(self, stream).await
    }

    async fn consumers(
        &self,
        stream: &StreamName,
        group: &AppName,
    ) -> Result<Vec<Consumer>, Error> {
        consumer::consumers(self, stream, group).await
    }

    async fn forget_consumer(&self, stream: &StreamName, member: &Member) -> Result<bool, Error> {
        consumer::forget(self, stream, member).await
    }

    async fn trim_shared(&self, stream: &StreamName, floor: EntryId) -> Result<u64, Error> {
        trim::trim(self, Key::shared(stream), floor).await
    }
}
