//! What each [`Store`](millstream_core::store::Store) must do.
//!
//! Events take the real way: from the fields of an entry through [`wire::decode`] and mappings that
//! were checked against the tables to a plan.
//!
//! [`wire::decode`]: millstream_core::wire::decode

mod apply;
mod consumer;
mod crash;
mod fenced;
pub mod handlers;
mod key;
mod model;
mod parked;
mod plain;
mod poison;
mod relations;
mod rows;
mod shared;
mod source;

pub use apply::*;
pub use crash::death_at_any_statement_changes_nothing;
pub use fenced::*;
pub use handlers::*;
pub use key::*;
pub use model::{agrees_with_a_model, the_shared_stream_agrees_with_a_model};
pub use parked::*;
pub use poison::*;
pub use relations::*;
pub use rows::*;
pub use shared::*;

pub use consumer::{Consumer, shown};
pub use source::{Source, event};

use millstream_core::change::Op;
use millstream_core::mapping::{Spec, ValueSpec};

use crate::suite::Site;

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
            a_handler_takes_effect_once
            a_handler_sees_the_rows_of_its_event
            a_failing_handler_leaves_nothing
            a_handler_that_ends_the_transaction_leaves_nothing
            a_repeated_event_changes_nothing
            an_entry_twice_in_a_batch_is_applied_once
            the_same_id_of_another_source_is_another_event
            the_shared_stream_is_applied_in_any_order
            a_lost_shared_stream_is_fenced
            a_key_of_the_shared_stream_blocks_by_source
            a_store_with_a_prefix_works_the_same
            death_at_any_statement_changes_nothing
            ; agrees_with_a_model
            the_shared_stream_agrees_with_a_model
        }
    };
}

/// The application's own tables.
const TABLES: &str = "
    CREATE TABLE people (
      tenant_id VARCHAR(64) NOT NULL, id VARCHAR(64) NOT NULL,
      name VARCHAR(255), email VARCHAR(255), age INTEGER,
      PRIMARY KEY (tenant_id, id)
    );
    CREATE TABLE memberships (
      tenant_id VARCHAR(64) NOT NULL, person VARCHAR(64) NOT NULL,
      department VARCHAR(64) NOT NULL, since VARCHAR(64),
      PRIMARY KEY (tenant_id, person, department)
    );
    CREATE TABLE accounts (
      tenant_id VARCHAR(64) NOT NULL, id VARCHAR(64) NOT NULL, balance INTEGER NOT NULL,
      PRIMARY KEY (tenant_id, id)
    );
    CREATE TABLE effects (
      tenant_id VARCHAR(64) NOT NULL, id VARCHAR(64) NOT NULL,
      PRIMARY KEY (tenant_id, id)
    );";

/// A mapping by paths into the event: `column = path`.
pub fn spec(on: &str, op: Op, table: &str, key: &[&str], set: &[&str]) -> Spec {
    let paths = |list: &[&str]| {
        list.iter()
            .map(|binding| {
                let (column, path) = binding.split_once(" = ").expect("column = path");
                (column.into(), ValueSpec::Path(path.into()))
            })
            .collect()
    };
    Spec {
        on: vec![on.into()],
        table: table.into(),
        key: paths(key),
        set: paths(set),
        op,
        when: None,
    }
}

/// How events become rows of [`TABLES`].
fn mappings() -> Vec<Spec> {
    let row = ["tenant_id = tenantId", "id = entityId"];
    let member = [
        "tenant_id = tenantId",
        "person = entityId",
        "department = data.department",
    ];
    let data = ["name = data.name", "email = data.email", "age = data.age"];
    vec![
        spec("person.set", Op::Upsert, "people", &row, &data),
        spec("person.renamed", Op::Update, "people", &row, &data[..1]),
        spec("person.left", Op::Delete, "people", &row, &[]),
        // Found by other columns than its rows are made by: its order against them matters.
        spec(
            "person.left",
            Op::Delete,
            "memberships",
            &["tenant_id = tenantId", "person = entityId"],
            &[],
        ),
        spec(
            "member.set",
            Op::Upsert,
            "memberships",
            &member,
            &["since = data.since"],
        ),
        spec("member.removed", Op::Delete, "memberships", &member, &[]),
        spec(
            "account.opened",
            Op::Upsert,
            "accounts",
            &row,
            &["balance = data.balance"],
        ),
    ]
}

/// A database with [`TABLES`], and its consumer of a shard.
async fn ready<S: Site>() -> (S, Source, Consumer<S::Handle>) {
    ready_with("").await
}

async fn ready_with<S: Site>(prefix: &str) -> (S, Source, Consumer<S::Handle>) {
    let site = S::make(prefix).await;
    site.execute(TABLES).await.expect("the tables are made");
    let source = Source::shard(0);
    let consumer = Consumer::start(site.connect().await, source.feed(), mappings()).await;
    (site, source, consumer)
}
