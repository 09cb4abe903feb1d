use millstream_core::change::Op;
use millstream_core::mapping::Spec;
use millstream_core::name::{EntityId, EventId, TenantId};
use millstream_core::outbox::NewEvent;

use crate::suite::Site;
use crate::suite::store::{Consumer, Source, event, spec};

pub(super) const THINGS: &str = "CREATE TABLE things (
                        tenant_id VARCHAR(255) NOT NULL, id VARCHAR(255) NOT NULL, name TEXT, age INTEGER,
                        PRIMARY KEY (tenant_id, id));";

pub(super) fn mappings() -> Vec<Spec> {
    let key = ["tenant_id = tenantId", "id = entityId"];
    let set = ["name = data.name", "age = data.age"];
    vec![
        spec("thing.set", Op::Upsert, "things", &key, &set),
        spec("thing.left", Op::Delete, "things", &key, &[]),
    ]
}

/// A consumer of shared streams: their events come from anybody.
pub(super) async fn consumer<S: Site>(site: &S) -> (Source, Consumer<S::Handle>) {
    let source = Source::shared();
    let consumer = Consumer::start(site.connect().await, source.feed(), mappings()).await;
    (source, consumer)
}

/// The event whose ids are this text where they can be, of a number.
pub(super) fn named(event_type: &str, text: &str, number: usize, data: &str) -> NewEvent {
    let mut own = event(event_type, &format!("t{number}"), "7", data);
    own.tenant = TenantId::new(text).unwrap_or(own.tenant);
    own.entity = EntityId::new(text).unwrap_or(own.entity);
    own.id = EventId::new(text).ok();
    own
}
