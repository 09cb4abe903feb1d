use mysql_async::Value;

use millstream_core::clock::Timestamp;
use millstream_core::contents::ContentHash;
use millstream_core::delivery::{Content, Delivery, Outcome};
use millstream_core::error::Error;

use crate::batch::Item;
use crate::identifier::Prefix;
use crate::mysql::session::{Session, values};

/// Rows of the inbox to be written, of one feed.
pub(super) struct Insert {
    shard: i64,
    shared: bool,
    applied_at: Timestamp,
    rows: Vec<Vec<Value>>,
}

impl Insert {
    pub(super) fn new(shard: i64, shared: bool, applied_at: Timestamp) -> Self {
        Self {
            shard,
            shared,
            applied_at,
            rows: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, item: &Item<'_>, outcome: Outcome) {
        let delivery = item.delivery;
        let source = if self.shared { source(delivery) } else { None };
        let (event_type, tenant, entity, published_at) = match &delivery.content {
            Content::Event { event, .. } => (
                Some(event.event_type.as_str()),
                Some(event.tenant.as_str()),
                Some(event.entity.as_str()),
                Some(event.timestamp.as_str()),
            ),
            Content::Undecodable(part) => (
                part.event_type.as_deref(),
                part.tenant.as_ref().map(|tenant| tenant.as_str()),
                part.key.as_ref().map(|key| key.as_str()),
                None,
            ),
        };
        self.rows.push(values![
            self.shard,
            delivery.entry.high.cast_signed(),
            delivery.entry.low.cast_signed(),
            item.found.twin().0,
            delivery.event_id().map(|id| id.as_str()),
            event_type,
            source,
            tenant,
            entity,
            outcome.as_str(),
            published_at,
            delivery.received_at.as_millis(),
            self.applied_at.as_millis(),
            item.contents.map(ContentHash::as_i64),
        ]);
    }

    pub(super) async fn write(self, session: &mut Session, prefix: &Prefix) -> Result<(), Error> {
        let head = prefix.sql(
            "INSERT INTO ~millstream_inbox
               (shard, generation, seq, twin, event_id, event_type, source_application, tenant_id,
                entity_id, outcome, published_at, received_at, applied_at, content_hash)",
        );
        session
            .insert("write the inbox", &head, "", self.rows)
            .await
    }
}

/// The application that a delivery of the shared stream says it comes from.
pub(super) fn source(delivery: &Delivery) -> Option<&str> {
    match &delivery.content {
        Content::Event { event, .. } => Some(event.source.as_str()),
        Content::Undecodable(part) => part.source.as_deref(),
    }
}
