use bytes::Bytes;

use millstream_core::clock::Timestamp;
use millstream_core::entry::Shard;
use millstream_core::error::ErrorKind;
use millstream_core::event::{Json, Targets};
use millstream_core::lease::{Feed, Lease, Leases, Role};
use millstream_core::name::{EntityId, EventId, EventType, PartitionKey, TenantId};
use millstream_core::outbox::{NewEvent, Outbox, OutboxRow};

use super::corpus::{LONE, corpus, object};
use super::guarded::Guarded;
use crate::sample::{app, instance, stream};
use crate::suite::Site;
use crate::suite::store::event;

/// Events each of which has a text in one place that its publisher fills, where it can be there.
fn events_with(text: &str) -> Vec<NewEvent> {
    let mut events = Vec::new();
    let mut add = |set: &dyn Fn(&mut NewEvent)| {
        let mut own = plain();
        set(&mut own);
        events.push(own);
    };
    if let Ok(id) = EventId::new(text) {
        add(&|own| own.id = Some(id.clone()));
    }
    if let Ok(event_type) = EventType::new(text) {
        add(&|own| own.event_type = event_type.clone());
    }
    if let Ok(tenant) = TenantId::new(text) {
        add(&|own| own.tenant = tenant.clone());
    }
    if let Ok(entity) = EntityId::new(text) {
        add(&|own| own.entity = entity.clone());
    }
    if let Ok(key) = PartitionKey::new(text) {
        add(&|own| own.partition_key = Some(key.clone()));
    }
    if let Ok(target) = Targets::parse(text) {
        add(&|own| own.target = target.clone());
    }
    add(&|own| own.version = text.into());
    add(&|own| own.published_by = text.into());
    add(&|own| own.timestamp = Some(text.into()));
    for (name, value) in [("name", text), (text, "x"), (text, text)] {
        if let Some(object) = object(name, value) {
            add(&|own| own.data = object.clone());
            add(&|own| own.metadata = object.clone());
        }
    }
    events
}

fn plain() -> NewEvent {
    let mut plain = event("thing.set", "acme", "7", "{}");
    plain.timestamp = Some("2026-01-01T00:00:00Z".into());
    plain
}

/// What of a row its publisher has chosen.
fn shown(row: &OutboxRow) -> [&Bytes; 10] {
    [
        &row.event_type,
        &row.version,
        &row.target,
        &row.tenant,
        &row.entity,
        &row.partition_key,
        &row.published_by,
        &row.timestamp,
        &row.data,
        &row.metadata,
    ]
}

fn written(event: &NewEvent) -> [String; 10] {
    let key = event.partition_key.as_ref();
    [
        event.event_type.to_string(),
        event.version.clone(),
        event.target.to_string(),
        event.tenant.to_string(),
        event.entity.to_string(),
        key.map_or(event.entity.as_str(), PartitionKey::as_str)
            .into(),
        event.published_by.clone(),
        event.timestamp.clone().unwrap_or_default(),
        event.data.as_str().into(),
        event.metadata.as_str().into(),
    ]
}

/// Byte for byte, in every field that a publisher fills; or the event is refused.
pub async fn what_an_outbox_is_given_comes_back<S: Site>() {
    let guarded = Guarded::<S>::make("").await;
    let outbox = guarded.site.connect().await;
    let mut events: Vec<_> = corpus().iter().flat_map(|text| events_with(text)).collect();
    for text in LONE {
        if let Ok(data) = Json::parse(text.to_owned()) {
            let mut own = plain();
            own.data = data.clone();
            own.metadata = data;
            events.push(own);
        }
    }

    let (mut expected, mut refused) = (Vec::new(), 0);
    for own in &events {
        match outbox
            .insert(&stream("events"), std::slice::from_ref(own))
            .await
        {
            Ok(inserted) => {
                assert_eq!(inserted.added, 1, "{own:?}");
                expected.push(own);
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
                let told = written(own);
                // MariaDB takes half a pair for no JSON.
                let lone = |text: &String| LONE.contains(&text.as_str());
                let fits =
                    |text: &String| text.len() < 60_000 && !text.contains('\0') && !lone(text);
                assert!(!told.iter().all(fits), "{own:?}: {error}");
                refused += 1;
            }
        }
    }
    assert!(expected.len() > 500, "most of it is text");
    assert!(refused > 0, "some of it is not");

    let mut tops = tops(&outbox).await;
    let mut found = Vec::new();
    loop {
        let now = Timestamp::from_millis(0);
        let rows = outbox.number(&tops, 100, now).await.unwrap();
        if rows.is_empty() {
            break;
        }
        found.extend(rows);
        tops[0].checkpoint = outbox.checkpoint(&tops[0]).await.unwrap().unwrap();
    }
    assert_eq!(found.len(), expected.len());
    for (row, own) in found.iter().zip(expected) {
        let id = own.id.as_ref().map(|id| id.as_str().as_bytes());
        assert!(id.is_none_or(|id| id == &row.event_id[..]), "{own:?}");
        assert_eq!(
            shown(row).map(|bytes| &bytes[..]),
            written(own).each_ref().map(|text| text.as_bytes())
        );
    }
    guarded.assert_untouched().await;
}

/// The lease on the only shard of `hr`.
async fn tops(outbox: &impl Leases) -> Vec<Lease> {
    let shard = Shard {
        stream: stream("events"),
        owner: app("hr"),
        number: 0,
    };
    let feeds = [Feed::Owned(shard)];
    outbox.register(Role::Relay, &feeds).await.unwrap();
    let rows = outbox.leases(Role::Relay).await.unwrap();
    let taken = outbox.acquire(&instance("relay"), Role::Relay, &rows).await;
    taken.unwrap().expect("nobody was faster")
}
