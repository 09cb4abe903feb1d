use millstream_core::descriptor::{Bounds, Descriptor, Subscriber, Subscription};
use millstream_core::entry::EntryId;
use millstream_core::lease::Checkpoint;
use millstream_core::log::Log;
use millstream_core::name::EventId;

use crate::sample::{app, database, stream};
use crate::suite::Place;

fn descriptor(name: &str, owner: &str, shards: u16, generation: u64) -> Descriptor {
    Descriptor {
        stream: stream(name),
        owner: app(owner),
        database: database(&format!("{owner}-database")),
        shards,
        generation,
        count: 1,
        bounds: Vec::new(),
        subscribers: Vec::new(),
    }
}

async fn publishers(log: &impl Log, name: Option<&str>) -> Vec<Descriptor> {
    let mut found = log.publishers(name.map(stream).as_ref()).await.unwrap();
    found.sort_by(|a, b| (&a.stream, &a.owner).cmp(&(&b.stream, &b.owner)));
    found
}

/// A descriptor replaces the earlier one of its stream and owner as a whole.
pub async fn the_latest_announcement_counts<P: Place<Handle: Log>>() {
    let place = P::make().await;
    let (log, other) = (place.connect().await, place.connect().await);
    assert_eq!(publishers(&log, None).await, []);
    let mut latest = descriptor("events", "crm", 4, 1);
    for (id, shards, generation) in [("d1", 4, 1), ("d1", 4, 2), ("d2", 8, 1)] {
        latest.database = database(id);
        (latest.shards, latest.generation) = (shards, generation);
        log.announce(&latest).await.unwrap();
        assert_eq!(
            publishers(&other, Some("events")).await,
            std::slice::from_ref(&latest)
        );
    }
}

/// All publishers of one stream, or of all.
pub async fn publishers_are_found_by_stream<P: Place<Handle: Log>>() {
    let place = P::make().await;
    let log = place.connect().await;
    let crm = descriptor("events", "crm", 4, 1);
    let hr = descriptor("events", "hr", 2, 7);
    let billing = descriptor("invoices", "billing", 1, 1);
    for descriptor in [&billing, &hr, &crm] {
        log.announce(descriptor).await.unwrap();
    }
    assert_eq!(
        publishers(&log, Some("events")).await,
        [crm.clone(), hr.clone()]
    );
    assert_eq!(
        publishers(&log, Some("invoices")).await,
        std::slice::from_ref(&billing)
    );
    assert_eq!(publishers(&log, Some("other")).await, []);
    assert_eq!(publishers(&log, None).await, [crm, hr, billing]);
}

/// Bounds and subscribers too, many of them, with ids that reach to the end.
pub async fn an_announcement_comes_back_whole<P: Place<Handle: Log>>() {
    let place = P::make().await;
    let log = place.connect().await;
    let mut whole = descriptor("events", "crm", 64, 3);
    let id = |number: usize| EntryId::new(3, u64::MAX - number as u64);
    whole.count = u64::MAX;
    whole.bounds = (0..64)
        .map(|number| Bounds {
            left_behind: EntryId::ZERO,
            pruned: EntryId::ZERO,
            floor: id(number),
            top: Checkpoint {
                at: id(number),
                event_id: EventId::new(format!("event \"{number}\"")).ok(),
            },
        })
        .collect();
    whole.subscribers = (0..16)
        .map(|number| Subscriber {
            application: app(&format!("app-{number}")),
            database: database(&format!("d{number} \u{1f980}")),
            shards: (0..64)
                .map(|shard| Subscription {
                    base: EntryId::ZERO,
                    settled: id(shard),
                })
                .collect(),
        })
        .collect();
    log.announce(&whole).await.unwrap();
    assert_eq!(publishers(&log, Some("events")).await, [whole]);
}
