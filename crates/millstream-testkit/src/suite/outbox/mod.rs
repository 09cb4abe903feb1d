//! What each [`Outbox`] must do.

mod crash;
mod insert;
mod number;
mod numbered;
mod plain;
mod refuse;
mod rivals;
mod wait;

pub use crash::*;
pub use insert::*;
pub use number::*;
pub use numbered::*;
pub use plain::*;
pub use refuse::*;
pub use rivals::*;
pub use wait::*;

use millstream_core::entry::Shard;
use millstream_core::event::Json;
use millstream_core::lease::{Feed, Lease, Leases, Role};
use millstream_core::name::{EntityId, EventType, TenantId};
use millstream_core::outbox::{NewEvent, Outbox, OutboxRow};

use crate::sample::{app, instance, stream};

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
            a_wait_ends_with_a_write
            death_while_numbering_loses_nothing
            death_while_inserting_leaves_all_or_nothing
            ;
        }
    };
}

/// Shards of `hr`'s stream `events`.
const SHARDS: u16 = 3;

fn shard(number: u16) -> Shard {
    Shard {
        stream: stream("events"),
        owner: app("hr"),
        number,
    }
}

fn shards() -> impl Iterator<Item = Shard> {
    (0..SHARDS).map(shard)
}

/// The relay's leases on all shards, taken from whoever had them.
async fn tops(outbox: &impl Leases) -> Vec<Lease> {
    let feeds: Vec<_> = shards().map(Feed::Owned).collect();
    outbox.register(Role::Relay, &feeds).await.unwrap();
    let rows = outbox.leases(Role::Relay).await.unwrap();
    let acquired = outbox.acquire(&instance("relay"), Role::Relay, &rows).await;
    acquired.unwrap().expect("nobody was faster")
}

/// Numbers up to `limit` rows, and moves the tops.
async fn number(outbox: &impl Outbox, tops: &mut [Lease], limit: usize) -> Vec<OutboxRow> {
    let rows = outbox.number(tops, limit).await.expect("rows are numbered");
    for lease in tops {
        lease.checkpoint = outbox.checkpoint(lease).await.unwrap().expect("it is held");
    }
    rows
}

/// Everything that a shard holds.
async fn all(outbox: &impl Outbox, number: u16) -> Vec<OutboxRow> {
    outbox
        .numbered(
            &shard(number),
            millstream_core::entry::EntryId::ZERO,
            usize::MAX,
        )
        .await
        .expect("rows are read")
}

/// An INSERT of the four columns that are required.
fn insert(tenant: &str, entity: &str, data: &str) -> String {
    format!(
        "INSERT INTO outbox (event_type, tenant_id, entity_id, event_data)
         VALUES ('user.updated', '{tenant}', '{entity}', '{data}');"
    )
}

fn event(tenant: &str, entity: &str, data: &str) -> NewEvent {
    NewEvent::new(
        EventType::new("user.updated").unwrap(),
        TenantId::new(tenant).unwrap(),
        EntityId::new(entity).unwrap(),
        Json::parse(data.to_owned()).unwrap(),
    )
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("it is text")
}
