//! What each [`Leases`](millstream_core::lease::Leases) must do.

mod acquire;
mod beat;
mod crash;
mod identity;
mod release;
mod steps;

pub use acquire::*;
pub use beat::*;
pub use crash::*;
pub use identity::*;
pub use release::*;

use steps::{feeds, rows, take};

/// One test for each case of the suite, for a [`Site`](crate::suite::Site).
#[macro_export]
macro_rules! leases_suite {
    ($site:ty) => {
        $crate::__cases! { $site, leases:
            a_beat_counts
            beats_of_roles_are_apart
            instances_beat_at_once
            a_forgotten_instance_has_no_heartbeat
            a_new_feed_begins_at_zero
            registering_again_changes_nothing
            every_feed_comes_back
            acquiring_raises_the_epoch
            acquiring_is_all_or_none
            an_unknown_feed_is_not_acquired
            of_rival_instances_one_acquires
            roles_are_acquired_apart
            a_released_lease_is_free
            a_lost_lease_is_not_released
            a_lost_lease_has_no_checkpoint
            a_database_has_an_identity
            another_application_is_refused
            missing_tables_are_misconfigured
            death_while_acquiring_takes_all_or_none
            ;
        }
    };
}
