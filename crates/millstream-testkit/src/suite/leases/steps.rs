use millstream_core::lease::{Feed, Lease, LeaseRow, Leases, Role};

use crate::sample::{instance, shard, stream};

/// Owned and shared ones.
pub(super) fn feeds() -> Vec<Feed> {
    vec![
        Feed::Owned(shard(0)),
        Feed::Owned(shard(1)),
        Feed::Shared(stream("events")),
    ]
}

pub(super) async fn rows(leases: &impl Leases) -> Vec<LeaseRow> {
    leases
        .leases(Role::Consumer)
        .await
        .expect("leases are read")
}

/// Takes everything that is registered.
pub(super) async fn take(leases: &impl Leases, name: &str) -> Vec<Lease> {
    let seen = rows(leases).await;
    leases
        .acquire(&instance(name), Role::Consumer, &seen)
        .await
        .expect("leases are acquired")
        .expect("nobody was faster")
}
