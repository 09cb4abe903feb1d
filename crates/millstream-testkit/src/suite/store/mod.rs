//! What each [`Store`](millstream_core::store::Store) must do.
//!
//! Events take the real way: from the fields of an entry through [`wire::decode`] and mappings that
//! were checked against the tables to a plan.
//!
//! [`wire::decode`]: millstream_core::wire::decode

mod again;
mod altered;
mod apply;
mod consumer;
mod crash;
mod exceptions;
mod fenced;
mod generation;
pub mod handlers;
mod key;
mod model;
mod old;
mod parked;
mod partial;
mod plain;
mod poison;
mod redelivered;
mod relations;
mod restored;
mod rows;
mod shared;
mod source;
mod steps;

pub use again::*;
pub use altered::*;
pub use apply::*;
pub use crash::death_at_any_statement_changes_nothing;
pub use exceptions::*;
pub use fenced::*;
pub use generation::*;
pub use handlers::*;
pub use key::*;
pub use model::*;
pub use old::*;
pub use parked::*;
pub use partial::*;
pub use poison::*;
pub use redelivered::*;
pub use relations::*;
pub use restored::a_restored_database_catches_up;
pub use rows::*;
pub use shared::*;

pub use consumer::{Consumer, shown};
pub use source::{Source, event};
pub use steps::spec;

use steps::{TABLES, mappings, ready, ready_with};

/// One test for each case of the suite, for a [`Site`](crate::suite::Site).
#[macro_export]
macro_rules! store_suite {
    ($site:ty) => {
        $crate::__cases! { $site, store:
            rows_and_checkpoint_are_committed_together
            passed_over_entries_move_the_checkpoint
            what_is_not_mapped_is_skipped
            each_event_is_tracked
            tables_are_described
            another_epoch_is_fenced
            another_checkpoint_is_fenced
            a_batch_that_is_applied_again_is_fenced
            feeds_are_fenced_apart
            what_an_event_lacks_is_left_alone
            an_update_finds_its_row_or_fails
            a_delete_removes_its_row_if_it_is_there
            a_part_of_a_row_is_enough_once_it_is_there
            a_part_of_a_row_makes_none
            events_of_one_instant_keep_their_order
            names_of_any_script_come_back
            one_event_writes_several_tables
            ids_are_compared_byte_for_byte
            tenants_share_ids
            a_person_has_two_departments
            one_bad_event_spoils_no_other
            a_hundred_bad_events_spoil_no_other
            a_parked_key_blocks_later_batches
            the_same_key_elsewhere_goes_on
            an_undecodable_entry_blocks_its_key
            an_undecodable_entry_without_a_key_blocks_nothing
            dead_letters_are_listed_in_order
            a_row_that_refers_to_another_follows_it
            a_missing_reference_parks_the_event
            unique_values_change_hands
            a_unique_value_that_is_taken_parks_the_event
            a_missing_table_is_misconfigured
            a_unique_key_that_is_added_changes_no_other_row
            an_altered_table_is_to_be_described_again
            no_event_is_dead_for_a_table_that_was_altered
            a_child_waits_for_its_parent
            a_value_waits_until_it_is_free
            what_is_blocked_follows_in_its_order
            a_conflict_is_dead_after_its_deadline
            what_can_never_be_applied_is_dead_when_it_is_tried
            letters_that_are_gone_are_passed_over
            an_earlier_letter_of_another_feed_goes_first
            an_event_that_is_parked_twice_has_one_effect
            another_epoch_tries_nothing_again
            a_handler_takes_effect_once
            a_handler_sees_the_rows_of_its_event
            a_failing_handler_leaves_nothing
            a_handler_that_ends_the_transaction_leaves_nothing
            a_repeated_event_changes_nothing
            an_entry_twice_in_a_batch_is_applied_once
            the_same_id_of_another_source_is_another_event
            the_shared_stream_is_applied_in_any_order
            a_shared_stream_that_moved_is_fenced
            a_lost_shared_stream_is_fenced
            a_key_of_the_shared_stream_blocks_by_source
            equal_ids_of_two_tenants_are_two_events
            another_event_under_the_same_entry_id_is_applied
            another_dead_event_under_the_same_entry_id_is_kept
            a_new_generation_applies_nothing_twice
            the_first_generation_goes_by_the_checkpoint
            a_batch_across_generations_applies_nothing_twice
            a_parked_event_that_comes_again_stays_parked
            an_undecodable_entry_that_comes_again_is_parked_once
            an_id_of_another_tenant_or_source_is_no_repeat
            what_is_parked_is_told_by_shard
            nothing_is_resurrected_by_what_comes_again
            a_new_generation_resurrects_nothing
            the_checkpoint_outlives_the_inbox
            another_event_under_a_known_id_is_refused
            a_waiting_event_whose_id_is_taken_is_refused
            what_came_before_contents_were_kept_is_a_repeat
            old_rows_of_the_inbox_go
            what_comes_again_after_its_row_has_gone
            twins_go_together
            an_empty_inbox_is_pruned
            event_ids_are_compared_byte_for_byte
            a_restored_database_catches_up
            a_store_with_a_prefix_works_the_same
            death_at_any_statement_changes_nothing
            ; agrees_with_a_model
            the_shared_stream_agrees_with_a_model
            generations_agree_with_a_model
            what_is_tried_again_agrees_with_a_model
        }
    };
}
