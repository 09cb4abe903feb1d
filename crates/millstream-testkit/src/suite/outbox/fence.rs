use millstream_core::error::ErrorKind;
use millstream_core::lease::{Lease, Leases};
use millstream_core::name::EventId;

use super::upkeep::{State, Upkeep, ready};
use super::{number, tops};
use crate::suite::Site;

/// Refused, and everything as it was.
async fn assert_fenced<S: Site>(site: &S, operation: Upkeep, tops: &[Lease]) {
    let outbox = site.connect().await;
    let before = State::of(&outbox).await;
    let error = operation.run(&outbox, tops).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced, "{operation:?}: {error}");
    assert_eq!(State::of(&outbox).await, before, "{operation:?}");
}

/// A relay that has lost its shards, or given them back, changes nothing of them.
pub async fn upkeep_under_a_lost_lease_is_fenced<S: Site>() {
    for operation in Upkeep::ALL {
        let (site, lost) = ready::<S>().await;
        let outbox = site.connect().await;
        let held = tops(&outbox).await;
        assert_fenced(&site, operation, &lost).await;
        // The right epoch in the wrong hands, and an epoch that is yet to come.
        let mut stolen = held.clone();
        stolen[2].owner = crate::instance("thief");
        assert_fenced(&site, operation, &stolen).await;
        let mut early = held.clone();
        early[2].epoch += 1;
        assert_fenced(&site, operation, &early).await;

        let before = State::of(&outbox).await;
        operation.run(&outbox, &held).await.unwrap();
        let after = State::of(&outbox).await;
        assert_ne!(after, before, "{operation:?} has an effect");
        let mut held = tops(&outbox).await;
        number(&outbox, &mut held, 99).await;
        outbox.release(&held).await.unwrap();
        if !matches!(operation, Upkeep::Number) {
            assert_fenced(&site, operation, &held).await;
        }
    }
}

/// What was judged by a state that is gone does not count, on whichever shard it differs.
pub async fn upkeep_at_another_checkpoint_is_fenced<S: Site>() {
    for operation in Upkeep::ALL {
        let (site, held) = ready::<S>().await;
        // A pruning concerns its shard alone, and this is the one.
        let last = held.len() - 1;
        let shards = match operation {
            Upkeep::Prune => last..held.len(),
            _ => 0..held.len(),
        };
        for shard in shards {
            let mut behind = held.clone();
            behind[shard].checkpoint.at.low -= 1;
            let mut ahead = held.clone();
            ahead[shard].checkpoint.at.low += 1;
            let mut elsewhere = held.clone();
            elsewhere[shard].checkpoint.at.high += 1;
            let mut forked = held.clone();
            forked[shard].checkpoint.event_id = EventId::new("another").ok();
            let mut nameless = held.clone();
            nameless[shard].checkpoint.event_id = None;
            for wrong in [behind, ahead, elsewhere, forked, nameless] {
                assert_fenced(&site, operation, &wrong).await;
            }
        }
        let outbox = site.connect().await;
        operation.run(&outbox, &held).await.unwrap();
    }
}
