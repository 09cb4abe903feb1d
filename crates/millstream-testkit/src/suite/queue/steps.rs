//! What most cases begin with.

use std::time::Duration;

use millstream_core::entry::{Entry, EntryId};
use millstream_core::error::Error;
use millstream_core::log::ReadLimit;
use millstream_core::name::StreamName;
use millstream_core::queue::{Claimed, Member, Queue};

use crate::sample::{app, fields, instance, stream};

pub(super) fn events() -> StreamName {
    stream("events")
}

pub(super) fn member(group: &str, consumer: &str) -> Member {
    Member {
        group: app(group),
        consumer: instance(consumer),
    }
}

/// Adds an entry for each number, and returns them with the ids that they were given.
pub(super) async fn add(queue: &impl Queue, numbers: std::ops::RangeInclusive<u64>) -> Vec<Entry> {
    let mut added = Vec::new();
    for number in numbers {
        let fields = fields(number);
        let id = queue
            .add(&events(), &fields)
            .await
            .expect("the entry is added");
        added.push(Entry { id, fields });
    }
    added
}

pub(super) fn ids(entries: &[Entry]) -> Vec<EntryId> {
    entries.iter().map(|entry| entry.id).collect()
}

/// Hands out what is there.
pub(super) async fn take(queue: &impl Queue, member: &Member, limit: ReadLimit) -> Vec<Entry> {
    queue
        .read_group(&events(), member, limit, Duration::ZERO)
        .await
        .expect("the group is read")
}

/// Claims page after page until everything has been looked at.
pub(super) async fn claim_all(
    queue: &impl Queue,
    stream: &StreamName,
    member: &Member,
    idle_min: Duration,
    limit: ReadLimit,
) -> Claimed {
    pages(limit, |after| {
        queue.claim(stream, member, idle_min, after, limit)
    })
    .await
}

/// Reads a member's own pending entries, page after page.
pub(super) async fn history_all(
    queue: &impl Queue,
    stream: &StreamName,
    member: &Member,
    limit: ReadLimit,
) -> Claimed {
    pages(limit, |after| queue.history(stream, member, after, limit)).await
}

/// Puts pages together until everything has been looked at.
async fn pages<F>(limit: ReadLimit, page: impl Fn(EntryId) -> F) -> Claimed
where
    F: Future<Output = Result<Claimed, Error>>,
{
    let mut all = Claimed::default();
    let mut after = EntryId::ZERO;
    loop {
        let page = page(after).await.expect("a page");
        assert!(page.entries.len() <= limit.count);
        all.entries.extend(page.entries);
        all.gone.extend(page.gone);
        let Some(next) = page.next else { return all };
        assert!(next > after, "a cursor goes forward: {next} after {after}");
        after = next;
    }
}
