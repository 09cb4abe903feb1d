//! What a server carries: a relay from a full outbox, beside the same appends from memory and the
//! barest loop that adds as many entries; a consumer that drains it, beside the floor of its database;
//! and what relay and consumer cost while nothing happens.

mod bare;
mod command;
mod feed;
mod idle;
mod outbox;
mod part;
mod report;

#[cfg(all(feature = "mysql", feature = "postgres"))]
pub(super) use command::clear_at;
pub(super) use command::run;
pub(super) use part::ServerPart;
