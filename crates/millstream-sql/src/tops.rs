//! The leases under which all shards of a stream are written.

use millstream_core::entry::Shard;
use millstream_core::error::{Error, ErrorKind};
use millstream_core::lease::{Feed, Lease};
use millstream_core::name::StreamName;
use millstream_core::outbox::Registered;

/// The shard that a lease is for.
pub(crate) fn owned(lease: &Lease) -> Result<&Shard, Error> {
    match &lease.feed {
        Feed::Owned(shard) => Ok(shard),
        Feed::Shared(stream) => Err(Error::new(
            ErrorKind::Misconfigured,
            format!("{stream}: events of the shared stream are not numbered"),
        )),
    }
}

/// The stream whose shards these are.
pub(crate) fn stream_of(tops: &[Lease]) -> Result<&StreamName, Error> {
    match tops.first() {
        Some(top) => Ok(&owned(top)?.stream),
        None => Err(Error::new(
            ErrorKind::Misconfigured,
            "a stream has at least one shard",
        )),
    }
}

/// Whether somebody follows as many shards as there are.
pub(crate) fn check_shards(tops: &[Lease], subscriber: &Registered) -> Result<(), Error> {
    if subscriber.shards.len() == tops.len() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Misconfigured,
        format!(
            "{} follows {} shards of a stream that has {}",
            subscriber.application,
            subscriber.shards.len(),
            tops.len()
        ),
    ))
}
