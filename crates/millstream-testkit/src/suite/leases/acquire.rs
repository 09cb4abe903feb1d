use std::sync::Arc;

use millstream_core::entry::Shard;
use millstream_core::lease::{Checkpoint, Feed, LeaseRow, Leases, Role};

use super::{feeds, rows, take};
use crate::sample::{app, instance, shard, stream};
use crate::suite::Site;

/// Nobody holds it, nobody ever did, and nothing is settled.
pub async fn a_new_feed_begins_at_zero<S: Site>() {
    let site = S::make("").await;
    let handle = site.connect().await;
    assert_eq!(rows(&handle).await, []);
    handle
        .register(Role::Consumer, &feeds()[..1])
        .await
        .unwrap();
    let expected = LeaseRow {
        feed: feeds().remove(0),
        epoch: 0,
        owner: None,
        checkpoint: Checkpoint::default(),
    };
    assert_eq!(rows(&handle).await, [expected]);
}

/// Also of feeds that are held by now.
pub async fn registering_again_changes_nothing<S: Site>() {
    let site = S::make("").await;
    let handle = site.connect().await;
    handle
        .register(Role::Consumer, &feeds()[..2])
        .await
        .unwrap();
    let leases = take(&handle, "a").await;
    let held = rows(&handle).await;

    site.connect()
        .await
        .register(Role::Consumer, &feeds())
        .await
        .unwrap();
    let now = rows(&handle).await;
    assert_eq!(now.len(), 3);
    assert!(held.iter().all(|row| now.contains(row)), "{now:?}");
    for lease in leases {
        assert!(handle.checkpoint(&lease).await.unwrap().is_some());
    }
}

/// A shard, the shared stream of the same name, and a shard of another owner are three feeds.
pub async fn every_feed_comes_back<S: Site>() {
    let site = S::make("").await;
    let handle = site.connect().await;
    let mut all = feeds();
    all.push(Feed::Owned(Shard {
        owner: app("billing"),
        ..shard(0)
    }));
    all.push(Feed::Owned(Shard {
        number: u16::MAX,
        ..shard(0)
    }));
    all.push(Feed::Shared(stream("other-events")));
    handle.register(Role::Consumer, &all).await.unwrap();
    let mut found: Vec<_> = rows(&handle)
        .await
        .into_iter()
        .map(|row| row.feed)
        .collect();
    found.sort();
    all.sort();
    assert_eq!(found, all);
}

/// Each take-over raises it by one, by whomever.
pub async fn acquiring_raises_the_epoch<S: Site>() {
    let site = S::make("").await;
    let handle = site.connect().await;
    handle.register(Role::Consumer, &feeds()).await.unwrap();
    for (epoch, name) in [(1, "a"), (2, "b"), (3, "b")] {
        let leases = take(&handle, name).await;
        assert_eq!(leases.len(), 3);
        for (lease, row) in leases.iter().zip(rows(&handle).await) {
            assert_eq!((lease.epoch, row.epoch), (epoch, epoch));
            assert_eq!(lease.owner, instance(name));
            assert_eq!(row.owner, Some(instance(name)));
            assert_eq!(lease.feed, row.feed);
            assert_eq!(lease.role, Role::Consumer);
        }
    }
}

/// If one of them went to somebody else, none is taken.
pub async fn acquiring_is_all_or_none<S: Site>() {
    let site = S::make("").await;
    let handle = site.connect().await;
    handle.register(Role::Consumer, &feeds()).await.unwrap();
    let seen = rows(&handle).await;
    let last = handle
        .acquire(&instance("a"), Role::Consumer, &seen[2..])
        .await;
    assert_eq!(last.unwrap().unwrap().len(), 1);
    let before = rows(&handle).await;

    let all = handle.acquire(&instance("b"), Role::Consumer, &seen).await;
    assert_eq!(all.unwrap(), None);
    assert_eq!(rows(&handle).await, before);
    let rest = handle
        .acquire(&instance("b"), Role::Consumer, &seen[..2])
        .await;
    assert_eq!(rest.unwrap().unwrap().len(), 2);
}

/// Acquiring makes no rows.
pub async fn an_unknown_feed_is_not_acquired<S: Site>() {
    let site = S::make("").await;
    let handle = site.connect().await;
    let row = LeaseRow {
        feed: feeds().remove(0),
        epoch: 0,
        owner: None,
        checkpoint: Checkpoint::default(),
    };
    let acquired = handle.acquire(&instance("a"), Role::Consumer, &[row]).await;
    assert_eq!(acquired.unwrap(), None);
    assert_eq!(rows(&handle).await, []);
}

/// Of several that saw the same rows, one gets them, each time.
pub async fn of_rival_instances_one_acquires<S: Site>() {
    const ROUNDS: u64 = 10;

    let site = S::make("").await;
    let mut handles = Vec::new();
    for _ in 0..3 {
        handles.push(Arc::new(site.connect().await));
    }
    handles[0].register(Role::Consumer, &feeds()).await.unwrap();
    for round in 1..=ROUNDS {
        let seen = rows(&*handles[0]).await;
        let rivals: Vec<_> = handles
            .iter()
            .zip(["a", "b", "c"])
            .map(|(handle, name)| {
                let (handle, seen) = (Arc::clone(handle), seen.clone());
                let rival = instance(name);
                tokio::spawn(async move {
                    let acquired = handle.acquire(&rival, Role::Consumer, &seen).await;
                    acquired.unwrap().is_some()
                })
            })
            .collect();
        let mut winners = 0;
        for rival in rivals {
            winners += usize::from(rival.await.unwrap());
        }
        assert_eq!(winners, 1);
        let now = rows(&*handles[0]).await;
        assert!(now.iter().all(|row| row.epoch == round), "{now:?}");
        assert!(now.iter().all(|row| row.owner == now[0].owner), "{now:?}");
    }
}

/// An application that sends to a shard of its own and one that applies it hold two leases.
pub async fn roles_are_acquired_apart<S: Site>() {
    let site = S::make("").await;
    let handle = site.connect().await;
    for role in [Role::Consumer, Role::Relay] {
        handle.register(role, &feeds()[..1]).await.unwrap();
    }
    let seen = handle.leases(Role::Relay).await.unwrap();
    let leases = handle.acquire(&instance("a"), Role::Relay, &seen).await;
    assert_eq!(leases.unwrap().unwrap()[0].role, Role::Relay);
    assert_eq!(rows(&handle).await[0].owner, None);
}
