use millstream_core::clock::Timestamp;
use millstream_core::entry::Shard;
use millstream_core::event::Json;
use millstream_core::lease::{Feed, Lease, Leases, Role};
use millstream_core::name::{EntityId, EventType, TenantId};
use millstream_core::outbox::{NewEvent, Outbox, OutboxRow};

use crate::sample::{app, instance, stream};

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

fn shards() -> impl Iterator<Item = Shard> {
    (0..SHARDS).map(shard)
}

/// The relay's leases on all shards, taken from whoever had them.
pub(super) async fn tops(outbox: &impl Leases) -> Vec<Lease> {
    let feeds: Vec<_> = shards().map(Feed::Owned).collect();
    outbox.register(Role::Relay, &feeds).await.unwrap();
    let rows = outbox.leases(Role::Relay).await.unwrap();
    let acquired = outbox.acquire(&instance("relay"), Role::Relay, &rows).await;
    acquired.unwrap().expect("nobody was faster")
}

/// Numbers up to `limit` rows, and moves the tops.
pub(super) async fn number(
    outbox: &impl Outbox,
    tops: &mut [Lease],
    limit: usize,
) -> Vec<OutboxRow> {
    let rows = outbox
        .number(tops, limit, NOW)
        .await
        .expect("rows are numbered");
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
