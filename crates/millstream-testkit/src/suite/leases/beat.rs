use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_core::lease::{Leases, Role};

use crate::sample::instance;
use crate::suite::Site;

/// Everybody's counts, by name.
async fn beat(leases: &impl Leases, name: &str, role: Role) -> BTreeMap<String, u64> {
    let beats = leases.beat(&instance(name), role).await.expect("it beats");
    assert!(beats.iter().all(|beat| beat.role == role), "{beats:?}");
    beats
        .into_iter()
        .map(|beat| (beat.instance.to_string(), beat.count))
        .collect()
}

fn counts(list: &[(&str, u64)]) -> BTreeMap<String, u64> {
    list.iter()
        .map(|&(name, count)| (name.into(), count))
        .collect()
}

/// Each beat raises one's own count and shows everybody's, whichever process asks.
pub async fn a_beat_counts<S: Site>() {
    let site = S::make("").await;
    let (one, two) = (site.connect().await, site.connect().await);
    assert_eq!(beat(&one, "a", Role::Consumer).await, counts(&[("a", 1)]));
    assert_eq!(beat(&one, "a", Role::Consumer).await, counts(&[("a", 2)]));
    let both = counts(&[("a", 2), ("b", 1)]);
    assert_eq!(beat(&two, "b", Role::Consumer).await, both);
    let both = counts(&[("a", 3), ("b", 1)]);
    assert_eq!(beat(&one, "a", Role::Consumer).await, both);
}

/// A process that is relay and consumer beats for each of them.
pub async fn beats_of_roles_are_apart<S: Site>() {
    let site = S::make("").await;
    let handle = site.connect().await;
    beat(&handle, "a", Role::Consumer).await;
    assert_eq!(beat(&handle, "a", Role::Relay).await, counts(&[("a", 1)]));
    assert_eq!(
        beat(&handle, "b", Role::Relay).await,
        counts(&[("a", 1), ("b", 1)])
    );
}

/// No beat is lost between processes, not even of one name.
pub async fn instances_beat_at_once<S: Site>() {
    const BEATS: u64 = 20;

    let site = S::make("").await;
    let mut tasks = Vec::new();
    for name in ["a", "b", "a"] {
        let handle = Arc::new(site.connect().await);
        tasks.push(tokio::spawn(async move {
            for _ in 0..BEATS {
                beat(&*handle, name, Role::Consumer).await;
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let beats = beat(&site.connect().await, "c", Role::Consumer).await;
    assert_eq!(beats, counts(&[("a", 2 * BEATS), ("b", BEATS), ("c", 1)]));
}

/// Whoever is forgotten is gone in that role, and begins again at 1.
pub async fn a_forgotten_instance_has_no_heartbeat<S: Site>() {
    let site = S::make("").await;
    let handle = site.connect().await;
    for role in [Role::Consumer, Role::Relay] {
        beat(&handle, "a", role).await;
        beat(&handle, "b", role).await;
    }
    let forget = |name| {
        let handle = &handle;
        async move {
            let forgotten = handle.forget(&instance(name), Role::Consumer).await;
            forgotten.expect("an instance is forgotten");
        }
    };
    forget("a").await;
    forget("a").await;
    forget("never").await;
    assert_eq!(
        beat(&handle, "b", Role::Consumer).await,
        counts(&[("b", 2)])
    );
    assert_eq!(
        beat(&handle, "a", Role::Relay).await,
        counts(&[("a", 2), ("b", 1)])
    );
    assert_eq!(
        beat(&handle, "a", Role::Consumer).await,
        counts(&[("a", 1), ("b", 2)])
    );
}
