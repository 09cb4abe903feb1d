//! What each [`Outbox`](millstream_core::outbox::Outbox) must do.

mod crash;
mod fence;
mod generation;
mod history;
mod insert;
mod model;
mod number;
mod numbered;
mod plain;
mod prune;
mod refuse;
mod rivals;
mod steps;
mod subscribers;
mod tracking;
mod upkeep;
mod wait;

pub use crash::*;
pub use fence::*;
pub use generation::*;
pub use insert::*;
pub use model::*;
pub use number::*;
pub use numbered::*;
pub use plain::*;
pub use prune::*;
pub use refuse::*;
pub use rivals::*;
pub use subscribers::*;
pub use tracking::*;
pub use wait::*;

use steps::{
    NOW, SHARDS, all, event, insert, number, number_at, registered, shard, text, tops, tops_of,
};

/// One test for each case of the suite, for a [`Site`](crate::suite::Site).
#[macro_export]
macro_rules! outbox_suite {
    ($site:ty) => {
        $crate::__cases! { $site, outbox:
            a_plain_insert_is_enough
            a_plain_insert_may_say_everything
            rows_of_one_statement_keep_their_order
            a_rolled_back_transaction_leaves_nothing
            a_statement_is_taken_or_refused_as_a_whole
            what_is_no_event_is_refused
            what_is_ours_cannot_be_set
            what_was_sent_stays_as_it_is
            only_what_was_pruned_is_gone
            numbers_go_with_their_generation_alone
            numbers_are_dense_and_chained
            numbering_goes_on_where_it_stopped
            numbering_is_limited
            streams_are_numbered_apart
            a_row_comes_back_byte_for_byte
            versions_count_by_tenant_and_key
            a_second_relay_is_fenced
            a_relay_that_lags_is_fenced
            a_key_keeps_its_order_under_concurrent_writers
            numbered_rows_are_read_from_any_position
            numbered_rows_are_limited
            an_event_is_inserted_once
            all_events_are_inserted_or_none
            an_inserted_event_says_what_it_was_given
            a_prefix_is_part_of_every_name
            a_wait_ends_with_a_row
            rows_without_a_stream_are_adopted_and_stranded_ones_counted
            a_subscriber_is_there_as_it_registered
            a_registration_replaces_the_one_before
            receipts_move_who_is_registered
            a_subscriber_is_removed
            a_subscriber_follows_every_shard
            rows_are_pruned_from_the_beginning
            a_late_row_holds_what_follows_it
            what_follows_a_pruned_row_names_it
            shards_are_pruned_apart
            what_waits_is_not_pruned
            a_new_generation_sends_again_what_was_not_settled
            generations_rise_over_all_shards
            subscribers_go_on_from_the_new_generation
            an_older_generation_is_pruned_first
            an_outgoing_event_is_tracked_by_subscriber
            exceptions_of_outgoing_events_are_tracked
            what_a_receipt_leaves_out_is_not_processed
            an_outgoing_event_counts_for_whom_it_is_for
            outgoing_events_are_tracked_across_generations
            upkeep_under_a_lost_lease_is_fenced
            upkeep_at_another_checkpoint_is_fenced
            death_during_upkeep_leaves_all_or_nothing
            death_while_numbering_loses_nothing
            death_while_inserting_leaves_all_or_nothing
            ; upkeep_agrees_with_a_model
        }
    };
}
