//! What each [`Queue`](millstream_core::queue::Queue) must do.

mod add;
mod claim;
mod consumer;
mod group;
mod history;
mod model;
mod steps;
mod trim;

pub use add::*;
pub use claim::*;
pub use consumer::*;
pub use group::*;
pub use history::*;
pub use model::agrees_with_a_model;
pub use trim::*;

use steps::{add, claim_all, events, history_all, ids, member, take};

/// One test for each case of the suite, for a [`Place`](crate::suite::Place) of a
/// [`Queue`](millstream_core::queue::Queue).
#[macro_export]
macro_rules! queue_suite {
    ($place:ty) => {
        $crate::queue_suite!(by __cases: $place);
    };
    (one by one: $place:ty) => {
        $crate::queue_suite!(by __cases_one_by_one: $place);
    };
    (by $make:ident: $place:ty) => {
        $crate::$make! { $place, queue:
            added_ids_rise
            ids_of_several_adders_rise
            an_added_entry_comes_back
            an_added_entry_has_some_fields
            a_range_is_limited
            a_shared_stream_and_a_shard_are_apart
            each_group_gets_each_entry_once
            members_share_a_group
            a_new_group_begins_at_the_first_entry
            a_group_read_is_limited
            a_member_wakes_at_once
            a_member_wakes_for_another_process
            rival_members_never_share_an_entry
            what_was_handed_out_is_pending
            an_ack_counts_once
            groups_show_their_lag
            a_claim_takes_over
            a_claim_leaves_what_is_not_idle
            a_claim_goes_on_from_its_cursor
            a_claim_is_limited_by_bytes
            a_member_claims_what_a_crashed_one_held
            a_claim_of_nothing_is_empty
            a_history_is_the_member_s_own
            a_history_brings_back_a_lost_answer
            a_history_goes_on_from_its_cursor
            a_history_is_limited_by_bytes
            a_history_names_what_is_gone
            a_history_of_nothing_is_empty
            consumers_show_what_they_hold
            a_consumer_that_holds_entries_is_not_forgotten
            a_consumer_that_lost_its_entries_is_forgotten
            a_forgotten_consumer_comes_back
            forgetting_nobody_says_so
            a_claim_names_what_is_gone
            trimming_removes_what_is_below_the_floor
            a_trimmed_stream_goes_on
            ; agrees_with_a_model
        }
    };
}
