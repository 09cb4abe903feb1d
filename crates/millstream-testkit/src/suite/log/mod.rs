//! What each [`Log`] must do.

mod acknowledgments;
mod append;
mod model;
mod position;
mod publishers;
mod read;
mod replace;
mod trim;
mod wake;

pub use acknowledgments::*;
pub use append::*;
pub use model::agrees_with_a_model;
pub use position::*;
pub use publishers::*;
pub use read::*;
pub use replace::*;
pub use trim::*;
pub use wake::*;

use millstream_core::entry::{Entry, EntryId, Shard};
use millstream_core::log::{Appended, Log};

/// One test for each case of the suite, for a [`Place`](crate::suite::Place) of a
/// [`Log`].
#[macro_export]
macro_rules! log_suite {
    ($place:ty) => {
        $crate::log_suite!(by __cases: $place);
    };
    (one by one: $place:ty) => {
        $crate::log_suite!(by __cases_one_by_one: $place);
    };
    (by $make:ident: $place:ty) => {
        $crate::$make! { $place, log:
            the_first_append_follows_zero
            an_append_after_another_id_adds_nothing
            an_append_that_is_repeated_names_its_last_entry
            of_rival_appends_one_wins
            ids_that_do_not_rise_are_refused
            appending_nothing_only_compares
            a_new_generation_follows_the_old_one
            shards_are_apart
            any_bytes_come_back
            a_large_entry_comes_back
            an_entry_has_some_fields
            a_replaced_shard_begins_anew
            a_replacement_of_something_else_changes_nothing
            a_replacement_that_is_repeated_names_its_last_entry
            a_replacement_may_be_empty
            a_missing_shard_can_be_replaced
            a_replacement_takes_back_a_raised_top
            ids_of_a_replacement_that_do_not_rise_are_refused
            positions_go_with_a_replacement
            a_reader_wakes_for_a_replacement
            a_read_goes_on_after_an_id
            a_read_is_limited_by_count
            a_read_is_limited_by_bytes
            the_first_entry_always_comes
            an_empty_read_waits_no_longer_than_asked
            a_dropped_read_loses_nothing
            a_reader_wakes_at_once
            a_reader_wakes_for_another_process
            each_reader_wakes_for_its_own_shard
            no_wake_up_is_lost
            positions_rise_only
            a_clone_cannot_move_a_position
            a_forgotten_position_is_free
            positions_are_apart
            trimming_removes_what_is_below
            a_trimmed_shard_goes_on
            trimming_many_entries_counts_them
            an_untouched_shard_is_empty
            a_description_counts
            the_latest_announcement_counts
            publishers_are_found_by_stream
            an_announcement_comes_back_whole
            messages_come_in_order
            messages_are_apart
            no_message_is_no_reason_to_wait
            messages_after_a_loss_come_from_the_first
            any_message_comes_back
            the_last_messages_are_kept
            ; agrees_with_a_model
        }
    };
}

/// Appends and expects it to be accepted.
async fn add(log: &impl Log, shard: &Shard, last: EntryId, entries: &[Entry]) {
    let appended = log
        .append(shard, last, entries)
        .await
        .expect("the append is answered");
    assert_eq!(appended, Appended::Added);
}

fn ids(entries: &[Entry]) -> Vec<EntryId> {
    entries.iter().map(|entry| entry.id).collect()
}
