use millstream::{Json, NewEvent};
use millstream_core::name::{EntityId, EventId, EventType, TenantId};

/// Something that happens to somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Happening {
    /// Its place in the history, from 1.
    pub(crate) number: u64,
    pub(crate) kind: String,
    pub(crate) tenant: String,
    pub(crate) entity: String,
    /// The event's data, as it is written.
    pub(crate) data: String,
    pub(crate) occurred_at: String,
}

impl Happening {
    /// The id of its event: the same in every run, so that databases can be compared with it.
    pub(crate) fn event_id(&self) -> String {
        event_id(self.number)
    }

    /// The event that CRM publishes.
    pub(crate) fn event(&self) -> anyhow::Result<NewEvent> {
        let mut event = NewEvent::new(
            EventType::new(self.kind.as_str())?,
            TenantId::new(self.tenant.as_str())?,
            EntityId::new(self.entity.as_str())?,
            Json::parse(self.data.clone())?,
        );
        event.id = Some(EventId::new(self.event_id())?);
        event.timestamp = Some(self.occurred_at.clone());
        Ok(event)
    }
}

/// The id of the event with this number.
pub(crate) fn event_id(number: u64) -> String {
    format!("event-{number:08}")
}
