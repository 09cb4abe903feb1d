use millstream_core::lease::{Checkpoint, Leases, Role};

use super::{feeds, rows, take};
use crate::suite::Site;

/// The epoch stays, so that who released it is fenced all the same.
pub async fn a_released_lease_is_free<S: Site>() {
    let site = S::make("").await;
    let handle = site.connect().await;
    handle.register(Role::Consumer, &feeds()).await.unwrap();
    let leases = take(&handle, "a").await;
    handle.release(&leases[..2]).await.unwrap();
    handle.release(&leases[..2]).await.unwrap();

    let now = rows(&handle).await;
    for (row, lease) in now.iter().zip(&leases) {
        let released = leases[..2].contains(lease);
        assert_eq!(row.owner.is_none(), released, "{row:?}");
        assert_eq!(row.epoch, 1);
        let checkpoint = handle.checkpoint(lease).await.unwrap();
        assert_eq!(checkpoint.is_none(), released, "{checkpoint:?}");
    }
}

/// Who comes back after a long pause must not give away what another holds by now.
pub async fn a_lost_lease_is_not_released<S: Site>() {
    let site = S::make("").await;
    let handle = site.connect().await;
    handle.register(Role::Consumer, &feeds()).await.unwrap();
    let lost = take(&handle, "a").await;
    take(&handle, "b").await;
    let held = rows(&handle).await;
    handle.release(&lost).await.unwrap();
    assert_eq!(rows(&handle).await, held);

    // The same instance, an epoch later: its old lease is not its new one.
    let lost = take(&handle, "a").await;
    take(&handle, "a").await;
    let held = rows(&handle).await;
    handle.release(&lost).await.unwrap();
    assert_eq!(rows(&handle).await, held);
}

/// A taken one answers, a lost one does not.
pub async fn a_lost_lease_has_no_checkpoint<S: Site>() {
    let site = S::make("").await;
    let handle = site.connect().await;
    handle.register(Role::Consumer, &feeds()).await.unwrap();
    let lost = take(&handle, "a").await;
    for lease in &lost {
        let checkpoint = handle.checkpoint(lease).await.unwrap();
        assert_eq!(checkpoint, Some(Checkpoint::default()));
    }
    let held = take(&site.connect().await, "b").await;
    for (lost, held) in lost.iter().zip(&held) {
        assert_eq!(handle.checkpoint(lost).await.unwrap(), None);
        assert!(handle.checkpoint(held).await.unwrap().is_some());
    }
}
