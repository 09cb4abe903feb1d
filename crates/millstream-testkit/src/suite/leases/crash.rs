use millstream_core::lease::{Leases, Role};

use super::{feeds, rows};
use crate::sample::instance;
use crate::suite::Site;

/// Whichever statement is the last: either every lease is taken or none, and they can be taken
/// again.
pub async fn death_while_acquiring_takes_all_or_none<S: Site>() {
    let mut alive = false;
    let mut statements = 0;
    while !alive {
        let site = S::make("").await;
        let handle = site.connect().await;
        handle.register(Role::Consumer, &feeds()).await.unwrap();
        let seen = rows(&handle).await;

        let mortal = site.connect_mortal(statements).await;
        // Whether a dead process got an answer is nobody's business.
        drop(mortal.acquire(&instance("a"), Role::Consumer, &seen).await);
        alive = !site.bury(mortal).await;
        statements += 1;

        let handle = site.connect().await;
        let now = rows(&handle).await;
        let epoch = now[0].epoch;
        assert!(now.iter().all(|row| row.epoch == epoch), "{now:?}");
        assert!(!alive || epoch == 1, "{now:?}");
        let again = handle.acquire(&instance("b"), Role::Consumer, &now).await;
        assert_eq!(again.unwrap().unwrap().len(), now.len());
    }
    assert!(statements > 3, "there were statements to die before");
}
