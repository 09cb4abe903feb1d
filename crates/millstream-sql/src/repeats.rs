//! Which deliveries of the shared stream were here before, from what their inbox has of them.

use std::borrow::Cow;
use std::collections::HashMap;

use millstream_core::blob;
use millstream_core::contents::ContentHash;
use millstream_core::delivery::{Content, Delivery};
use millstream_core::name::{EventId, TenantId};

use crate::batch::{Found, Twin, tenant};

/// A row of the inbox under an entry id, with the raw fields if it is parked.
pub(crate) struct Earlier {
    pub(crate) twin: Twin,
    pub(crate) event_id: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) tenant: Option<String>,
    pub(crate) raw: Option<Vec<u8>>,
    pub(crate) contents: Option<ContentHash>,
}

impl Earlier {
    /// Whether it is of the event of a delivery, which comes from this application.
    fn is_of(
        &self,
        delivery: &Delivery,
        source: Option<&str>,
        contents: Option<ContentHash>,
    ) -> bool {
        let same = self.event_id.as_deref() == delivery.event_id().map(EventId::as_str)
            && self.source.as_deref() == source
            && self.tenant.as_deref() == tenant(delivery).map(TenantId::as_str);
        match &delivery.content {
            Content::Event { .. } => same && !is_other(self.contents, contents),
            Content::Undecodable(_) => {
                let raw = self.raw.as_ref();
                same && raw.is_none_or(|raw| *raw == blob::encode(&delivery.raw))
            }
        }
    }
}

/// What an inbox has of a delivery.
#[derive(Default)]
pub(crate) struct Trace {
    /// Under its entry id, by twin.
    pub(crate) entries: Vec<Earlier>,
    /// What events say that were processed under its event id.
    pub(crate) processed: Vec<Option<ContentHash>>,
}

/// Finds those that are in the inbox as they are, or stand earlier among them, or whose event was
/// processed. An entry id that was here with another event says nothing.
///
/// `source` names the application that a delivery comes from, as the inbox has it.
pub(crate) fn find<'a>(
    deliveries: &'a [Delivery],
    contents: &[Option<ContentHash>],
    traces: &[Trace],
    source: impl Fn(&'a Delivery) -> Option<Cow<'a, str>>,
) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::with_capacity(deliveries.len());
    let mut firsts = HashMap::new();
    for (index, (delivery, trace)) in deliveries.iter().zip(traces).enumerate() {
        let own = contents[index];
        let mut twin = Twin::FIRST;
        let mut known = false;
        let source = source(delivery);
        for earlier in &trace.entries {
            twin = earlier.twin.next();
            known |= earlier.is_of(delivery, source.as_deref(), own);
        }
        let first = *firsts.entry(delivery.entry).or_insert(index);
        for earlier in (first..index).filter(|at| deliveries[*at].entry == delivery.entry) {
            known |= is_same(&deliveries[earlier], delivery) && !is_other(contents[earlier], own);
            twin = twin.max(found[earlier].twin().next());
        }
        found.push(match known {
            true => Found::Repeated,
            false => processed_before(&trace.processed, twin, own),
        });
    }
    found
}

/// What is known of a delivery by the events that were processed under its id: it is one of them, or
/// another one has taken its id.
pub(crate) fn processed_before(
    processed: &[Option<ContentHash>],
    twin: Twin,
    contents: Option<ContentHash>,
) -> Found {
    if processed.iter().any(|by| !is_other(*by, contents)) {
        return Found::Repeated;
    }
    let taken = processed.first();
    taken.map_or(Found::New(twin), |by| Found::Taken(twin, *by))
}

/// Whether two events under one id say different things. Of one that came before contents were kept
/// nobody knows.
pub(crate) fn is_other(one: Option<ContentHash>, other: Option<ContentHash>) -> bool {
    matches!((one, other), (Some(one), Some(other)) if one != other)
}

/// Whether two deliveries of one entry id are of one event.
fn is_same(one: &Delivery, other: &Delivery) -> bool {
    match (&one.content, &other.content) {
        (Content::Event { event: one, .. }, Content::Event { event: other, .. }) => {
            one.id == other.id && one.source == other.source && one.tenant == other.tenant
        }
        (Content::Undecodable(_), Content::Undecodable(_)) => one.raw == other.raw,
        _ => false,
    }
}
