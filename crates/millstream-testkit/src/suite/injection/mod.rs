//! What anybody writes into events and mappings stays what it is: it becomes a value or is refused, and
//! nothing else happens.

mod corpus;
mod guarded;
mod names;
mod outbox;
mod things;
mod values;

pub use names::a_hostile_name_in_a_mapping_is_refused;
pub use outbox::what_an_outbox_is_given_comes_back;
pub use values::{what_an_event_says_becomes_values, what_cannot_be_applied_is_kept_as_it_is};

/// One test for each case of the suite, for a [`Site`](crate::suite::Site).
#[macro_export]
macro_rules! injection_suite {
    ($site:ty) => {
        $crate::__cases! { $site, injection:
            what_an_outbox_is_given_comes_back
            what_an_event_says_becomes_values
            what_cannot_be_applied_is_kept_as_it_is
            a_hostile_name_in_a_mapping_is_refused
            ;
        }
    };
}
