use millstream_core::clock::Timestamp;
use millstream_core::entry::Shard;
use millstream_core::event::Json;
use millstream_core::lease::{Feed, Lease, Leases, Role};
use millstream_core::name::{EntityId, EventType, StreamName, TenantId};
use millstream_core::outbox::{NewEvent, Outbox, OutboxRow, Progress, Registered};

use crate::sample::{app, database, instance, stream};

/// When rows are numbered, if it does not matter.
pub(super) const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// Shards of `hr`'s stream `events`.
pub(super) const SHARDS: u16 = 3;

pub(super) fn shard(number: u16) -> Shard {
    Shard {
        stream: stream("events"),
        owner: app("hr"),
        number,
    }
}

/// The relay's leases on all shards, taken from whoever had them.
pub(super) async fn tops(outbox: &impl Leases) -> Vec<Lease> {
    tops_of(outbox, &stream("events")).await
}

/// The same for another stream of `hr`.
pub(super) async fn tops_of(outbox: &impl Leases, stream: &StreamName) -> Vec<Lease> {
    let shard = |number| Shard {
        stream: stream.clone(),
        ..shard(number)
    };
    let feeds: Vec<_> = (0..SHARDS).map(shard).map(Feed::Owned).collect();
    outbox.register(Role::Relay, &feeds).await.unwrap();
    let mut rows = outbox.leases(Role::Relay).await.unwrap();
    rows.retain(|row| row.feed.stream() == stream);
    let acquired = outbox.acquire(&instance("relay"), Role::Relay, &rows).await;
    acquired.unwrap().expect("nobody was faster")
}

/// Numbers up to `limit` rows, and moves the tops.
pub(super) async fn number(
    outbox: &impl Outbox,
    tops: &mut [Lease],
    limit: usize,
) -> Vec<OutboxRow> {
    number_at(outbox, tops, limit, NOW).await
}

/// The same at another time.
pub(super) async fn number_at(
    outbox: &impl Outbox,
    tops: &mut [Lease],
    limit: usize,
    now: Timestamp,
) -> Vec<OutboxRow> {
    let rows = outbox.number(tops, limit, now).await;
    let rows = rows.expect("rows are numbered");
    for lease in tops {
        lease.checkpoint = outbox.checkpoint(lease).await.unwrap().expect("it is held");
    }
    rows
}

/// Everything that a shard holds.
pub(super) async fn all(outbox: &impl Outbox, number: u16) -> Vec<OutboxRow> {
    outbox
        .numbered(
            &shard(number),
            millstream_core::entry::EntryId::ZERO,
            usize::MAX,
        )
        .await
        .expect("rows are read")
}

/// An INSERT of the four columns that are required.
pub(super) fn insert(tenant: &str, entity: &str, data: &str) -> String {
    format!(
        "INSERT INTO outbox (event_type, tenant_id, entity_id, event_data)
         VALUES ('user.updated', '{tenant}', '{entity}', '{data}');"
    )
}

pub(super) fn event(tenant: &str, entity: &str, data: &str) -> NewEvent {
    NewEvent::new(
        EventType::new("user.updated").unwrap(),
        TenantId::new(tenant).unwrap(),
        EntityId::new(entity).unwrap(),
        Json::parse(data.to_owned()).unwrap(),
    )
}

pub(super) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("it is text")
}

/// A subscriber that follows each shard from its beginning, and has settled nothing.
pub(super) fn registered(name: &str) -> Registered {
    Registered {
        application: app(name),
        database: database(&format!("{name}-database")),
        shards: vec![Progress::default(); usize::from(SHARDS)],
    }
}
