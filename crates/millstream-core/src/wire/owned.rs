//! Entries of an owned stream: what the owner's relay wrote, and nothing else.

use super::field;
use super::slots::{self, Slots};
use crate::delivery::{Decoded, Undecodable};
use crate::entry::{Entry, EntryId, Shard};
use crate::event::Sequence;
use crate::name::{EventId, PartitionKey};

pub(super) fn decode(shard: &Shard, entry: &Entry) -> Result<Decoded, Undecodable> {
    let slots = Slots::of(&entry.fields);
    decode_slots(shard, entry.id, &slots).map_err(|reason| slots.undecodable(reason))
}

fn decode_slots(shard: &Shard, id: EntryId, slots: &Slots<'_>) -> Result<Decoded, String> {
    check_version(slots)?;
    let generation = slots::number(field::GENERATION, slots.generation)?;
    let seq = slots::number(field::SEQ, slots.seq)?;
    if EntryId::new(generation, seq) != id {
        return Err("generation and seq are not those of the entry id".into());
    }
    let event = slots.event()?;
    if event.source != shard.owner {
        return Err(format!(
            "its source is not the stream's owner, {}",
            shard.owner
        ));
    }
    let sequence = Sequence {
        partition_key: slots::named(field::PARTITION_KEY, slots.partition_key, PartitionKey::new)?,
        entity_version: Some(slots::number(field::ENTITY_VERSION, slots.entity_version)?),
        // What is wrong with the event before this one is not this one's fault.
        prev: slots::named(field::PREV, slots.prev, EventId::new).ok(),
    };
    Ok(Decoded { event, sequence })
}

/// Refuses what a later version may mean otherwise, before anything else is read.
fn check_version(slots: &Slots<'_>) -> Result<(), String> {
    let wire = slots::required(field::WIRE, slots.wire)?;
    if wire == super::VERSION {
        return Ok(());
    }
    match slots::number(field::WIRE, slots.wire)? {
        0 => Err("field wire is not a version".into()),
        _ => Err(format!(
            "its wire version is newer than {}: update this program",
            super::VERSION
        )),
    }
}
