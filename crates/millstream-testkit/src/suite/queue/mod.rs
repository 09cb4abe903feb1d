//! What each [`Queue`] must do.

mod add;
mod claim;
mod group;
mod model;
mod trim;

pub use add::*;
pub use claim::*;
pub use group::*;
pub use model::agrees_with_a_model;
pub use trim::*;

use std::time::Duration;

use millstream_core::entry::{Entry, EntryId};
use millstream_core::log::ReadLimit;
use millstream_core::name::StreamName;
use millstream_core::queue::{Claimed, Member, Queue};

use crate::sample::{app, fields, instance, stream};

/// One test for each case of the suite, for a [`Place`](crate::suite::Place) of a
/// [`Queue`].
#[macro_export]
macro_rules! queue_suite {
    ($place:ty) => {
        $crate::__cases! { $place, queue:
            added_ids_rise
            ids_of_several_adders_rise
            an_added_entry_comes_back
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
            a_claim_names_what_is_gone
            trimming_removes_what_is_below_the_floor
            a_trimmed_stream_goes_on
            ; agrees_with_a_model
        }
    };
}

fn events() -> StreamName {
    stream("events")
}

fn member(group: &str, consumer: &str) -> Member {
    Member {
        group: app(group),
        consumer: instance(consumer),
    }
}

/// Adds an entry for each number, and returns them with the ids that they were given.
async fn add(queue: &impl Queue, numbers: std::ops::RangeInclusive<u64>) -> Vec<Entry> {
    let mut added = Vec::new();
    for number in numbers {
        let fields = fields(number);
        let id = queue
            .add(&events(), &fields)
            .await
            .expect("the entry is added");
        added.push(Entry { id, fields });
    }
    added
}

fn ids(entries: &[Entry]) -> Vec<EntryId> {
    entries.iter().map(|entry| entry.id).collect()
}

/// Hands out what is there.
async fn take(queue: &impl Queue, member: &Member, limit: ReadLimit) -> Vec<Entry> {
    queue
        .read_group(&events(), member, limit, Duration::ZERO)
        .await
        .expect("the group is read")
}

/// Claims page after page until everything has been looked at.
async fn claim_all(
    queue: &impl Queue,
    stream: &StreamName,
    member: &Member,
    idle_min: Duration,
    limit: ReadLimit,
) -> Claimed {
    let mut all = Claimed::default();
    let mut after = EntryId::ZERO;
    loop {
        let page = queue
            .claim(stream, member, idle_min, after, limit)
            .await
            .expect("claimed");
        assert!(page.entries.len() <= limit.count);
        all.entries.extend(page.entries);
        all.gone.extend(page.gone);
        let Some(next) = page.next else { return all };
        assert!(next > after, "a cursor goes forward: {next} after {after}");
        after = next;
    }
}
