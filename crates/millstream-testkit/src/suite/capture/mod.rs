//! What each [`Capture`](millstream_core::capture::Capture) must do.

mod changes;
mod crash;
mod model;
mod own;
mod steps;
mod table;
mod types;

pub use changes::*;
pub use crash::*;
pub use model::*;
pub use own::*;
pub use steps::source;
pub use table::*;
pub use types::Types;

/// One test for each case of the suite, for a [`Site`](crate::suite::Site).
#[macro_export]
macro_rules! capture_suite {
    ($site:ty) => {
        $crate::__cases! { $site, capture:
            each_change_of_a_row_is_an_event
            an_update_of_nothing_is_no_event
            a_row_with_a_new_key_is_another_one
            null_is_a_value_like_others
            a_row_of_nobody_is_refused
            a_change_that_is_rolled_back_is_none
            only_what_is_named_is_captured
            names_of_any_kind_are_captured
            ten_thousand_rows_of_one_statement_are_captured
            our_own_changes_are_not_captured
            our_own_changes_are_not_captured_where_an_event_fails
            captured_tables_are_written_as_fast_as_others
            a_changed_table_is_noticed
            what_cannot_be_captured_is_refused
            a_released_table_is_left_alone
            a_prefix_is_part_of_every_name_that_captures
            a_capture_that_died_is_done_again
            ; captured_changes_replayed_are_the_table
        }
    };
}
