//! Which deliveries were here before, where the checkpoint cannot tell.

use std::collections::HashSet;

use rusqlite::Transaction;

use millstream_core::delivery::{Content, Delivery};
use millstream_core::entry::{EntryId, Shard};
use millstream_core::error::Error;
use millstream_core::lease::{Feed, Role};
use millstream_core::name::{EventId, TenantId};

use crate::identifier::Prefix;
use crate::sqlite::database::while_doing;
use crate::sqlite::inbox::tenant;

/// How repeats are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dedupe<'a> {
    /// Not at all: what is above the checkpoint of an owned stream is new.
    Checkpoint,
    /// By event id, since a new generation brings again what an older one may have brought. A parked
    /// event counts as well: it is here, and waits.
    Generation(&'a Shard),
    /// By entry and by event id. A parked event does not count: it may be published again because it
    /// is dead.
    Shared,
}

/// Source, tenant and id: what an event is known by. On an owned stream all have one source.
pub(super) type Identity<'a> = (&'a str, Option<&'a TenantId>, &'a EventId);

impl<'a> Dedupe<'a> {
    /// Of a batch. An owned stream pays for it from its second generation on.
    pub(super) fn of(feed: &'a Feed, deliveries: &[Delivery]) -> Self {
        match feed {
            Feed::Shared(_) => Self::Shared,
            Feed::Owned(shard) if deliveries.iter().any(is_of_later_generation) => {
                Self::Generation(shard)
            }
            Feed::Owned(_) => Self::Checkpoint,
        }
    }

    /// What a delivery is known by within its batch, if that matters.
    pub(super) fn identity(self, delivery: &Delivery) -> Option<Identity<'_>> {
        match (self, &delivery.content) {
            (Self::Checkpoint, _) | (Self::Shared, Content::Undecodable(_)) => None,
            (Self::Generation(_), _) => Some(("", tenant(delivery), delivery.event_id()?)),
            (Self::Shared, Content::Event { event, .. }) => {
                Some((event.source.as_str(), Some(&event.tenant), &event.id))
            }
        }
    }

    /// Whether a parked event counts as having been here.
    pub(super) fn counts_parked(self) -> bool {
        matches!(self, Self::Generation(_))
    }

    /// Which deliveries need not be applied, by what was committed before.
    pub(super) fn repeated(
        self,
        tx: &Transaction<'_>,
        prefix: &Prefix,
        row: i64,
        deliveries: &[Delivery],
    ) -> Result<Vec<bool>, Error> {
        let failed = while_doing("look into the inbox");
        match self {
            Self::Checkpoint => Ok(vec![false; deliveries.len()]),
            Self::Generation(shard) => again(tx, prefix, shard, deliveries).map_err(failed),
            Self::Shared => shared(tx, prefix, row, deliveries).map_err(failed),
        }
    }
}

fn is_of_later_generation(delivery: &Delivery) -> bool {
    delivery.entry.high > 1
}

/// Those of a later generation whose event is in the inbox, from whichever shard of the stream.
fn again(
    tx: &Transaction<'_>,
    prefix: &Prefix,
    shard: &Shard,
    deliveries: &[Delivery],
) -> rusqlite::Result<Vec<bool>> {
    let mut query = tx.prepare_cached(&prefix.sql(
        "SELECT EXISTS (
           SELECT 1 FROM ~millstream_inbox i JOIN ~millstream_shards s ON s.id = i.shard
           WHERE i.event_id = ?1 AND i.tenant_id IS ?2
             AND s.role = ?3 AND s.stream = ?4 AND s.source = ?5)",
    ))?;
    let (stream, source) = (shard.stream.as_str(), shard.owner.as_str());
    deliveries
        .iter()
        .map(|delivery| match delivery.event_id() {
            Some(id) if is_of_later_generation(delivery) => {
                let tenant = tenant(delivery).map(TenantId::as_str);
                let role = Role::Consumer.as_str();
                query.query_row((id.as_str(), tenant, role, stream, source), |row| {
                    row.get(0)
                })
            }
            _ => Ok(false),
        })
        .collect()
}

/// Those of the shared stream whose entry is in the inbox, or stands earlier among them, or whose
/// event was processed.
fn shared(
    tx: &Transaction<'_>,
    prefix: &Prefix,
    row: i64,
    deliveries: &[Delivery],
) -> rusqlite::Result<Vec<bool>> {
    let mut by_entry = tx.prepare_cached(&prefix.sql(
        "SELECT EXISTS (SELECT 1 FROM ~millstream_inbox
                        WHERE shard = ?1 AND generation = ?2 AND seq = ?3)",
    ))?;
    let mut by_event = tx.prepare_cached(&prefix.sql(
        "SELECT EXISTS (SELECT 1 FROM ~millstream_inbox
                        WHERE event_id = ?1 AND shard = ?2 AND source_application IS ?3
                          AND tenant_id IS ?4
                          AND outcome IN ('applied', 'superseded', 'skipped'))",
    ))?;

    let mut repeated = Vec::with_capacity(deliveries.len());
    let mut entries = HashSet::new();
    for delivery in deliveries {
        let EntryId { high, low } = delivery.entry;
        let entry = (row, high.cast_signed(), low.cast_signed());
        let mut known =
            !entries.insert(delivery.entry) || by_entry.query_row(entry, |row| row.get(0))?;
        if let (false, Content::Event { event, .. }) = (known, &delivery.content) {
            let (id, source) = (event.id.as_str(), event.source.as_str());
            let identity = (id, row, source, event.tenant.as_str());
            known = by_event.query_row(identity, |row| row.get(0))?;
        }
        repeated.push(known);
    }
    Ok(repeated)
}
