use std::collections::BTreeMap;
use std::time::Duration;

use millstream::Transport;
use millstream::core::descriptor::Subscription;
use millstream::core::entry::{Entry, EntryId, Shard};
use millstream::core::error::Error;
use millstream::core::log::{Description, ReadLimit};
use millstream::core::name::AppName;
use millstream::core::wire;

use crate::commands::streams::Publisher;
use crate::commands::streams::row::{Group, Id, Row};
use crate::commands::streams::state::{Announced, Evidence};

/// A row for each shard of a publisher.
pub(super) async fn rows(
    transport: &Transport,
    publisher: &Publisher<'_>,
    remarks: &mut Vec<String>,
) -> Result<Vec<Row>, Error> {
    let mut seen = Vec::new();
    for shard in publisher.descriptor.shards() {
        let found = transport.log.describe(&shard).await?;
        let mut places = places(publisher, shard.number);
        for position in transport.log.positions(&shard).await? {
            places.entry(position.group).or_default().position = position.at;
        }
        let last = last_entry(transport, &shard, &found).await?;
        seen.push((shard, found, places, last));
    }
    // After everything else: numbers come before entries, and entries before settling.
    let tops = match publisher.tops().await {
        Ok(tops) => tops,
        Err(error) => {
            remarks.push(format!(
                "{}: its database cannot be asked: {error}",
                publisher.descriptor.owner
            ));
            None
        }
    };
    let mut rows = Vec::with_capacity(seen.len());
    for (shard, found, places, last) in seen {
        let index = usize::from(shard.number);
        let bounds = publisher.descriptor.bounds.get(index);
        let announced = bounds.map(|bounds| Announced {
            floor: bounds.floor,
            top: bounds.top.at,
        });
        let top = tops.as_ref().and_then(|tops| tops.get(index)).copied();
        let settled_max = places.values().map(Place::at).max().unwrap_or_default();
        let last_is_own = last.as_ref().is_none_or(|last| wire::is_of(&shard, last));
        let evidence = Evidence {
            found,
            last_is_own,
            last_is_known: match last.filter(|_| tops.is_some()) {
                Some(last) => publisher.knows(&shard, &last).await?,
                None => true,
            },
            top,
            announced,
            settled_max,
        };
        let top = top.or(announced.map(|announced| announced.top));
        rows.push(Row {
            stream: shard.stream.to_string(),
            publisher: Some(shard.owner.to_string()),
            shard: Some(shard.number),
            length: found.length,
            first: found.first.map(Id),
            last: Id(found.last),
            floor: announced.map(|announced| Id(announced.floor)),
            top: top.map(Id),
            state: evidence.judge(),
            groups: groups(places, found.last.max(top.unwrap_or_default())),
        });
    }
    Ok(rows)
}

type Places = BTreeMap<AppName, Place>;

/// What is known about an application's place in a shard.
#[derive(Debug, Default)]
struct Place {
    registered: Option<Subscription>,
    position: EntryId,
}

impl Place {
    /// Whichever was said later: receipt and position go different ways.
    fn at(&self) -> EntryId {
        let settled = self.registered.map_or(EntryId::ZERO, |place| place.settled);
        settled.max(self.position)
    }
}

fn places(publisher: &Publisher<'_>, shard: u16) -> Places {
    publisher
        .descriptor
        .subscribers
        .iter()
        .map(|subscriber| {
            let place = Place {
                registered: subscriber.shards.get(usize::from(shard)).copied(),
                position: EntryId::ZERO,
            };
            (subscriber.application.clone(), place)
        })
        .collect()
}

fn groups(places: Places, top: EntryId) -> Vec<Group> {
    let settled = |place: &Place| place.registered.map(|place| place.settled);
    let lowest = places.values().filter_map(settled).min();
    places
        .into_iter()
        .map(|(name, place)| Group {
            name: name.to_string(),
            at: Id(place.at()),
            lag: behind(place.at(), top),
            pending: 0,
            base: place.registered.map(|place| Id(place.base)),
            settled: settled(&place).map(Id),
            // Whoever has settled everything holds nothing.
            holds_floor: settled(&place).is_some_and(|at| Some(at) == lowest && at < top),
        })
        .collect()
}

/// Seqs are dense within a generation, so their difference is the number of entries.
pub(super) fn behind(at: EntryId, last: EntryId) -> u64 {
    if at.high == last.high {
        last.low.saturating_sub(at.low)
    } else {
        last.low
    }
}

/// The last entry, if it is still there.
async fn last_entry(
    transport: &Transport,
    shard: &Shard,
    found: &Description,
) -> Result<Option<Entry>, Error> {
    let limit = ReadLimit { count: 1, bytes: 1 };
    if found.length == 0 {
        return Ok(None);
    }
    let last = transport
        .log
        .read(shard, found.last.before(), limit, Duration::ZERO)
        .await?;
    Ok(last.into_iter().next())
}
