use bytes::Bytes;

use millstream_core::entry::{Entry, EntryId, Fields, Shard};
use millstream_core::event::Json;
use millstream_core::lease::Feed;
use millstream_core::name::{EntityId, EventId, EventType, PartitionKey, TenantId};
use millstream_core::outbox::{NewEvent, OutboxRow};
use millstream_core::wire::{self, field};

use crate::sample::{app, entry_at, shard, stream};

/// An event with an id that follows from where it is sent.
pub fn event(event_type: &str, tenant: &str, entity: &str, data: &str) -> NewEvent {
    NewEvent::new(
        EventType::new(event_type).expect("an event type"),
        TenantId::new(tenant).expect("a tenant"),
        EntityId::new(entity).expect("an entity"),
        Json::parse(data.to_owned()).expect("one JSON object"),
    )
}

/// A feed as its publisher fills it.
#[derive(Debug, Clone)]
pub struct Source {
    feed: Feed,
    last: EntryId,
    last_event: Option<EventId>,
}

impl Source {
    /// A shard of `crm`'s stream `events`.
    pub fn shard(number: u16) -> Self {
        Self::of(Feed::Owned(shard(number)))
    }

    /// The shared stream `events`.
    pub fn shared() -> Self {
        Self::of(Feed::Shared(stream("events")))
    }

    /// Any feed, from its beginning.
    pub fn of(feed: Feed) -> Self {
        Self {
            feed,
            last: EntryId::ZERO,
            last_event: None,
        }
    }

    /// The feed that it fills.
    pub fn feed(&self) -> Feed {
        self.feed.clone()
    }

    /// The entry that an event becomes.
    pub fn send(&mut self, event: &NewEvent) -> Entry {
        let at = self.next();
        let id = event.id.clone().unwrap_or_else(|| self.event_id());
        match self.feed.clone() {
            Feed::Owned(shard) => {
                let row = self.row(&shard, event, &id);
                self.last_event = Some(id);
                wire::encode_owned(&row, &shard.owner)
            }
            Feed::Shared(_) => {
                let moment = "2026-01-01T00:00:00Z";
                entry_at(at, wire::encode_shared(event, &id, &app("crm"), moment))
            }
        }
    }

    /// The entries that events become.
    pub fn send_all<'a>(&mut self, events: impl IntoIterator<Item = &'a NewEvent>) -> Vec<Entry> {
        events.into_iter().map(|event| self.send(event)).collect()
    }

    /// Goes on in the next generation, whose seqs count from 1 again.
    pub fn begin_generation(&mut self) {
        self.last = EntryId::new(self.last.high + 1, 0);
        self.last_event = None;
    }

    /// The entry that an event becomes when it is sent again, in a later generation.
    pub fn send_again(&mut self, earlier: &Entry) -> Entry {
        let at = self.next();
        let own = [field::GENERATION, field::SEQ, field::PREV];
        let mut fields: Fields = earlier
            .fields
            .iter()
            .filter(|(name, _)| !own.iter().any(|own| *name == own.as_bytes()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        fields.push(field::GENERATION, at.high.to_string());
        fields.push(field::SEQ, at.low.to_string());
        if let Some(prev) = &self.last_event {
            fields.push(field::PREV, prev.to_string());
        }
        let id = fields
            .get(field::EVENT_ID)
            .expect("each entry has an event id");
        let id = std::str::from_utf8(id).expect("it is text");
        self.last_event = EventId::new(id).ok();
        entry_at(at, fields)
    }

    /// An entry that is no event: without event data, and without a key if `key` is none.
    pub fn send_broken(&mut self, key: Option<(&str, &str)>) -> Entry {
        let (tenant, entity) = key.unwrap_or(("acme", "7"));
        let whole = self.send(&event("person.set", tenant, entity, "{}"));
        let broken = |name: &Bytes| match name.as_ref() {
            b"eventData" => true,
            b"tenantId" => key.is_none(),
            _ => false,
        };
        let mut fields: Fields = whole
            .fields
            .iter()
            .filter(|(name, _)| !broken(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        fields.push("eventData", &b"\x00\xff{"[..]);
        entry_at(whole.id, fields)
    }

    fn next(&mut self) -> EntryId {
        self.last = EntryId::new(self.last.high.max(1), self.last.low + 1);
        self.last
    }

    /// `crm-0-7`, `crm-0-2.7` in generation 2, or `shared-7`.
    fn event_id(&self) -> EventId {
        let id = match &self.feed {
            Feed::Owned(shard) => {
                let generation = match self.last.high {
                    0 | 1 => String::new(),
                    high => format!("{high}."),
                };
                let (owner, number) = (&shard.owner, shard.number);
                format!("{owner}-{number}-{generation}{}", self.last.low)
            }
            Feed::Shared(_) => format!("shared-{}", self.last.low),
        };
        EventId::new(id).expect("an event id")
    }

    fn row(&self, shard: &Shard, event: &NewEvent, id: &EventId) -> OutboxRow {
        let text = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        let key = event.partition_key.as_ref().map(PartitionKey::as_str);
        OutboxRow {
            shard: shard.number,
            at: self.last,
            prev: self.last_event.as_ref().map(|id| text(id.as_str())),
            event_id: text(id.as_str()),
            event_type: text(event.event_type.as_str()),
            version: text(&event.version),
            target: text(&event.target.to_string()),
            tenant: text(event.tenant.as_str()),
            entity: text(event.entity.as_str()),
            partition_key: text(key.unwrap_or(event.entity.as_str())),
            entity_version: 1,
            timestamp: text(event.timestamp.as_deref().unwrap_or("2026-01-01T00:00:00Z")),
            published_by: text(&event.published_by),
            data: event.data.as_bytes().clone(),
            metadata: event.metadata.as_bytes().clone(),
        }
    }
}
