//! What a relay does beside numbering, each under its leases, and everything that it may change.

use millstream_core::acknowledgment::Exception;
use millstream_core::clock::Timestamp;
use millstream_core::delivery::Outcome;
use millstream_core::entry::EntryId;
use millstream_core::error::Error;
use millstream_core::lease::{Lease, LeaseRow, Role};
use millstream_core::outbox::{Outbox, OutboxRow, Registered};

use super::{NOW, SHARDS, all, insert, number, registered, tops};
use crate::sample::stream;
use crate::suite::Site;

/// An operation that compares leases first.
#[derive(Debug, Clone, Copy)]
pub(super) enum Upkeep {
    Number,
    Subscribe,
    Receipts,
    Prune,
    Begin,
}

impl Upkeep {
    pub(super) const ALL: [Self; 5] = [
        Self::Number,
        Self::Subscribe,
        Self::Receipts,
        Self::Prune,
        Self::Begin,
    ];

    /// Does it, with an effect on what [`ready`] makes.
    pub(super) async fn run(self, outbox: &impl Outbox, tops: &[Lease]) -> Result<(), Error> {
        let later = Timestamp::from_millis(NOW.as_millis() + 1);
        match self {
            Self::Number => outbox.number(tops, 99, NOW).await.map(drop),
            Self::Subscribe => outbox.subscribe(tops, &told("crm", 1)).await,
            Self::Receipts => {
                let changed = [told("crm", 2), told("pay", 3)];
                outbox.record_receipts(tops, &changed).await
            }
            Self::Prune => {
                let top = tops.last().expect("a stream has shards");
                let through = EntryId::new(1, 3);
                outbox.prune(top, through, later, 99).await.map(drop)
            }
            Self::Begin => {
                let settled = [EntryId::new(1, 1); SHARDS as usize];
                outbox.begin_generation(tops, &settled, 0).await.map(drop)
            }
        }
    }
}

/// A subscriber that has told something of its last shard.
fn told(name: &str, seq: u64) -> Registered {
    let mut subscriber = registered(name);
    let progress = subscriber.shards.last_mut().expect("a stream has shards");
    progress.settled.at = EntryId::new(1, seq + 1);
    progress.exceptions = (1..=seq)
        .map(|seq| Exception {
            at: EntryId::new(1, seq),
            outcome: Outcome::Dead,
            attempts: 1,
            reason: "no".into(),
        })
        .collect();
    subscriber
}

/// A database on which each operation has an effect, and the leases of its relay.
pub(super) async fn ready<S: Site>() -> (S, Vec<Lease>) {
    let site = S::make("").await;
    let outbox = site.connect().await;
    // Nothing is left to be drawn, so that one such database equals another.
    let sql: Vec<_> = (0..40)
        .map(|n| {
            insert("acme", &(n % 10).to_string(), "{}")
                .replace("event_data)", "event_data, event_id, occurred_at)")
                .replace(
                    "'{}')",
                    &format!("'{{}}', 'e-{n}', '2026-01-01T00:00:00Z')"),
                )
        })
        .collect();
    site.execute(&sql.concat()).await.unwrap();
    let mut held = tops(&outbox).await;
    number(&outbox, &mut held, 25).await;
    for name in ["crm", "pay"] {
        outbox.subscribe(&held, &registered(name)).await.unwrap();
    }
    (site, held)
}

/// All that the operations may change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    rows: Vec<OutboxRow>,
    unsent: u64,
    pruned: Vec<EntryId>,
    subscribers: Vec<Registered>,
    leases: Vec<LeaseRow>,
}

impl State {
    pub(super) async fn of(outbox: &impl Outbox) -> Self {
        let events = stream("events");
        let mut rows = Vec::new();
        for shard in 0..SHARDS {
            rows.extend(all(outbox, shard).await);
        }
        Self {
            rows,
            unsent: outbox.unsent(&events).await.unwrap(),
            pruned: outbox.pruned(&events).await.unwrap(),
            subscribers: outbox.subscribers(&events).await.unwrap(),
            leases: outbox.leases(Role::Relay).await.unwrap(),
        }
    }
}
